"""Version 1 under the import path that other plug-ins know."""
