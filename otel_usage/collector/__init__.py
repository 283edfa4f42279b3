"""What a collector needs to know of the fact table: allow-lists, counts, tables and dashboards, written as files."""
