"""Who may be connected to over SSH. A module of its own, since what a connection is made with travels to workers."""

from pathlib import Path

import paramiko  # type: ignore[import-untyped] # it has no types


class KnownHosts(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # its base has no types
    """Refuses whoever the user never met; the library by itself would trust anybody."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Look the host up where ``ssh`` notes it."""
        for path in (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")):
            if path.is_file() and paramiko.HostKeys(str(path)).check(hostname, key):
                return
        raise paramiko.SSHException(
            f"the key of {hostname} ({key.get_name()} {key.fingerprint}) is not in ~/.ssh/known_hosts."
            " Connect to it once with ssh and compare the key"
        )
