# Parameters from three drivers: argument 1 is a socket directory, 2 a port.
# Prints one line a check, "ok what" or "not ok what: why".
import asyncio
import datetime
import decimal
import sys
import uuid

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras

HOST, PORT = sys.argv[1], int(sys.argv[2])
DSN = f"host={HOST} port={PORT} dbname=postgres"
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
BYTES = bytes(range(256)) * 4
STAMP = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)


def check(what, got, expected):
    print(f"ok {what}" if got == expected else f"not ok {what}: {got!r}, not {expected!r}")


def refused(what, run, text):
    try:
        run()
    except Exception as e:  # each driver has its own
        check(what, text in str(e), True)
    else:
        print(f"not ok {what}: nothing was raised")


SCALARS = [  # remote expression, local column type, value
    ("$1::int", "int", 42),
    ("$1::bigint", "bigint", 2**62),
    ("$1::text", "text", "O'Brien \\ \u00e4\u4e2d \"x\" $1"),
    ("$1::numeric", "numeric", decimal.Decimal("12345678901234567890.123456789")),
    ("$1::float8", "float8", 0.1 + 0.2),
    ("$1::bool", "bool", True),
    ("$1::date", "date", datetime.date(2024, 2, 29)),
    ("$1::timestamp", "timestamp", STAMP),
    ("$1::bytea", "bytea", BYTES),
    ("$1::uuid", "uuid", UUID),
]


def run_dbapi(name, connection, bytes_of, adapt):
    cursor = connection.cursor()

    def one(sql, args):
        cursor.execute(sql, args)
        return cursor.fetchone()[0]

    for expression, kind, value in SCALARS:
        got = one(f"select * from pool_config.query(%s, %s, %s) as t(x {kind})",
                  ("crm", f"select {expression}", adapt(value)))
        check(f"{name}: {kind}", bytes_of(got) if kind == "bytea" else got, value)
        got = one(f"select * from pool_config.query(%s, %s, %s::{kind}) as t(x {kind})",
                  ("crm", "select $1", adapt(value)))
        check(f"{name}: {kind}, cast here", bytes_of(got) if kind == "bytea" else got, value)
    for value in (None, "x", 5):
        check(f"{name}: {value!r} as untyped", one(
            "select * from pool_config.query(%s, %s, %s) as t(x text)", ("crm", "select $1::text", value)),
            None if value is None else str(value))
    check(f"{name}: an array", one("select * from pool_config.query(%s, %s, %s) as t(x text)",
          ("crm", "select string_agg(name, ',' order by id) from customers where id = any($1)", [1, 3])), "Ada,Edith")
    check(f"{name}: an array of strings", one("select * from pool_config.query(%s, %s, %s::text[]) as t(x text)",
          ("crm", "select string_agg(id::text, ',' order by id) from customers where name = any($1)", ["Ada", "O'Neil"])), "1")
    check(f"{name}: untyped into an enum and a uuid", one(
        "select * from pool_config.query(%s, %s, %s, %s) as t(x text)",
        ("crm", "select $1::mood || '/' || $2::uuid", "sad", str(UUID))), f"sad/{UUID}")
    # a typed value and an untyped one: the server wants the latter to be cast
    cursor.execute("select pool_config.exec(%s, %s, %s, %s::text)",
                   ("crm", "update customers set name = $2 where id = $1", 2, "Grace"))
    check(f"{name}: exec", cursor.fetchone()[0], "UPDATE 1")
    check(f"{name}: query_json", one("select pool_config.query_json(%s, %s, %s)",
          ("crm", "select id, name from customers where id = $1", 1)), {"id": 1, "name": "Ada"})
    refused(f"{name}: a wrong value", lambda: cursor.execute(
        "select * from pool_config.query(%s, %s, %s) as t(x int)", ("crm", "select $1::int", "no number")), "no number")


def big(name, cursor, wrap, size):
    data = bytes(1024) * (size // 2048) + b"\xff" * (size // 2)
    cursor.execute("select * from pool_config.query(%s, %s, %s) as t(n int, md5 text, back bytea)",
                   ("crm", "select length($1::bytea), md5($1::bytea), $1::bytea", wrap(data)))
    n, _, back = cursor.fetchone()
    check(f"{name}: bytea of {size >> 20} MB", (n, bytes(back) == data), (len(data), True))


def run_psycopg2():
    psycopg2.extras.register_uuid()
    with psycopg2.connect(DSN) as connection:
        connection.autocommit = True
        run_dbapi("psycopg2", connection, bytes, lambda v: psycopg2.Binary(v) if isinstance(v, bytes) else v)


def run_psycopg():
    with psycopg.connect(DSN, autocommit=True) as connection:
        run_dbapi("psycopg", connection, bytes, lambda v: v)
        big("psycopg", connection.cursor(binary=True), lambda v: v, 64 << 20)


async def run_asyncpg():
    connection = await asyncpg.connect(host=HOST, port=PORT, database="postgres")
    for expression, kind, value in SCALARS:
        sql = f"select * from pool_config.query($1, $2, $3::{kind}) as t(x {kind})"
        check(f"asyncpg: {kind}", await connection.fetchval(sql, "crm", "select $1", value), value)
        check(f"asyncpg: {kind} NULL", await connection.fetchval(sql, "crm", "select $1", None), None)
    untyped = "select * from pool_config.query($1, $2, $3) as t(x text)"
    check("asyncpg: untyped", await connection.fetchval(untyped, "crm", "select ($1::int + 1)::text", "41"), "42")
    check("asyncpg: untyped NULL", await connection.fetchval(untyped, "crm", "select $1::text", None), None)
    check("asyncpg: an array", await connection.fetchval(
        "select * from pool_config.query($1, $2, $3::int[]) as t(x text)", "crm",
        "select string_agg(name, ',' order by id) from customers where id = any($1)", [1, 3]), "Ada,Edith")
    check("asyncpg: query_as", await connection.fetchval(
        "select name from pool_config.query_as(null::customer, $1, $2, $3::int)", "crm",
        "select * from customers where id = $1", 3), "Edith")
    check("asyncpg: exec", await connection.fetchval(
        "select pool_config.exec($1, $2, $3, $4)", "crm", "update customers set name = $2 where id = $1::int", "2", "Grace"),
        "UPDATE 1")
    await connection.close()


run_psycopg2()
run_psycopg()
asyncio.run(run_asyncpg())
