import subprocess
import sys

from tests.platforms.standalone.test_cli import environment_of

MODULE = "completion_aggregator.platforms.standalone.service"


def test_the_service_ends_when_its_server_was_killed(tmp_path):
    server = (
        "import subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-m', '{MODULE}', 'run_aggregator_service', '--loop', '1'],"
        " stdin=subprocess.PIPE);"
        "print(flush=True); time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", server], env=environment_of(tmp_path / "home"), stdout=-1)
    assert process.stdout
    process.stdout.readline()
    process.kill()
    # The service has inherited standard output: it ends when the service does.
    process.communicate(timeout=60)
