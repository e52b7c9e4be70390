"""The same tables in ClickHouse: the store keeps its ledger, its lock and its keys, and has its rows there."""
