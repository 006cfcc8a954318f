"""Reads an inventory of keys that `latchkey key export` wrote as Parquet, with the library that most people read it with.

Usage: inventory.py FILE KEYS
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq

path, keys = sys.argv[1], int(sys.argv[2])
table = pq.read_table(path)
schema = table.schema

# Types are those that the columns say, so that nobody has to parse a text.
assert schema.field("name").type == pa.string(), schema
assert schema.field("create_time").type == pa.timestamp("ms", tz="UTC"), schema
assert schema.field("age_days").type == pa.int64(), schema
assert pa.types.is_list(schema.field("permissions").type), schema

assert table.num_rows == keys, table.num_rows
names = table.column("name").to_pylist()
assert names == sorted(names) and len(set(names)) == keys, "in order, and none twice"
assert all(moment is not None for moment in table.column("create_time").to_pylist())
assert not [name for name in schema.names if "secret" in name or "digest" in name or "key_text" in name]
print(f"{keys} keys, {len(schema.names)} columns")
