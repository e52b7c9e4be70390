"""Version 0 under the import path that other plug-ins know."""
