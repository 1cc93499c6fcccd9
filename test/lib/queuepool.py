"""One list of scenarios, for SQLAlchemy's QueuePool and for pool_config.

Usage: queuepool.py REMOTE_PORT REMOTE_LOG LOCAL_CONNINFO

Both pools connect to the same remote server.  Prints a line for each
scenario: its name, what was seen of QueuePool, what was seen of pool_config,
separated by tabs.
"""
import logging
import sys
import threading
import time

import psycopg2
from sqlalchemy import create_engine, exc, text

logging.disable()  # SQLAlchemy tells of connections that were killed on purpose
port, log, local = int(sys.argv[1]), sys.argv[2], sys.argv[3]
admin = psycopg2.connect(host="127.0.0.1", port=port, dbname="postgres",
                         user="observer", password="observer-secret")
admin.autocommit = True


def ask(sql, *args):
    with admin.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall() if cursor.description else None


def until(condition, limit=20):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Exception("gave up waiting")
        time.sleep(0.01)


class Exhausted(Exception):
    """No connection within the time limit."""


class Refused(Exception):
    """No connection can be made."""


class Lost(Exception):
    """The connection broke under a statement."""


class Theirs:
    """The real QueuePool; a user holds a connection of it."""

    def __init__(self, name, password="app-secret", **settings):
        self.name = name
        settings.setdefault("pool_timeout", 0.5)
        settings.pop("pre_ping_after", None)
        settings.pop("pool_reset", None)
        self.engine = create_engine(
            f"postgresql+psycopg2://app:{password}@127.0.0.1:{port}/postgres",
            connect_args={"application_name": name, "sslmode": "disable"}, **settings)

    def hold(self):
        try:
            connection = self.engine.connect()
        except exc.TimeoutError as error:
            raise Exhausted(str(error))
        except exc.OperationalError as error:
            raise Refused(str(error))
        try:
            pid = connection.execute(text("select pg_backend_pid()")).scalar()
        except exc.OperationalError as error:
            connection.close()
            raise Lost(str(error))
        return connection, pid

    def let_go(self, held):
        try:
            held[0].close()
        except exc.OperationalError as error:
            raise Lost(str(error))

    def run(self, *statements):
        with self.engine.connect() as connection:
            for sql in statements:
                result = connection.execute(text(sql))
                value = result.scalar() if result.returns_rows else None
            return value

    def pings(self):
        return open(log).read().count(f"{self.name} LOG:  statement: SELECT 1")

    def close(self):
        self.engine.dispose()


class Ours:
    """pool_config; a session whose statement waits at the remote holds one."""

    number = 0

    def __init__(self, name, password="app-secret", **settings):
        self.name = name
        settings.setdefault("pool_timeout", 0.5)
        self.admin = psycopg2.connect(local)
        self.admin.autocommit = True
        own = {}
        for word in ("pool_use_lifo", "pre_ping_after", "pool_reset"):
            if word in settings:
                own[word] = settings.pop(word)
        # the defaults of QueuePool, where they are not ours
        own.setdefault("pool_use_lifo", False)
        settings.setdefault("pool_recycle", -1)
        settings.setdefault("pool_pre_ping", False)
        arguments = "".join(f", {word} => {value!r}" for word, value in settings.items())
        with self.admin.cursor() as cursor:
            cursor.execute(
                "select pool_config.create_target(%s, %s, settings => %s::jsonb" + arguments + ")",
                (name, f"postgresql://app:{password}@127.0.0.1:{port}/postgres"
                       f"?sslmode=disable&application_name={name}",
                 str(own).replace("'", '"').replace("False", "false").replace("True", "true")))

    def sql(self, sql, *args):
        with self.admin.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchone()[0]

    def hold(self):
        Ours.number += 1
        key = Ours.number
        ask("select pg_advisory_lock(4711, %s)", key)
        held = {"key": key}
        held["thread"] = threading.Thread(target=self._hold, args=(held,))
        held["thread"].start()

        def pid():
            rows = ask("select pid from pg_locks where locktype = 'advisory' "
                       "and classid = 4711 and objid = %s and not granted", key)
            return rows[0][0] if rows else None
        until(lambda: "error" in held or pid() is not None)
        if "error" in held:
            ask("select pg_advisory_unlock(4711, %s)", key)
            held["thread"].join()
            raise held["error"]
        return held, pid()

    def _hold(self, held):
        session = psycopg2.connect(local)
        session.autocommit = True
        try:
            with session.cursor() as cursor:
                cursor.execute("select pool_config.exec(%s, %s)",
                               (self.name, f"select pg_advisory_xact_lock_shared(4711, {held['key']})"))
        except psycopg2.Error as error:
            held["error"] = {"53300": Exhausted, "08001": Refused, "08006": Lost}.get(
                error.pgcode, Exception)(str(error))
        session.close()

    def let_go(self, held):
        ask("select pg_advisory_unlock(4711, %s)", held[0]["key"])
        held[0]["thread"].join()

    def run(self, *statements):
        session = psycopg2.connect(local)
        session.autocommit = True
        value = None
        try:
            with session.cursor() as cursor:
                for sql in statements:
                    if sql.lower().startswith(("select", "show")):
                        cursor.execute("select * from pool_config.query(%s, %s) as t(a text)",
                                       (self.name, sql))
                        value = cursor.fetchone()[0]
                    else:
                        cursor.execute("set client_min_messages = error")
                        cursor.execute("select pool_config.exec(%s, %s)", (self.name, sql))
            return value
        finally:
            session.close()

    def pings(self):
        return self.sql("select pings from pool_config.stats where target = %s", self.name)

    def close(self):
        self.sql("select pool_config.drop_target(%s)::text", self.name)
        self.admin.close()


def opened(pool):
    return ask("select count(*) from pg_stat_activity where application_name = %s", pool.name)[0][0]


def settled(pool, n):
    """How many sessions the remote has, once there are n, or after a while."""
    try:
        until(lambda: opened(pool) == n, 2)
    except Exception:
        pass
    return opened(pool)


def several(pool, n):
    """n connections, idle, in the order of their return."""
    held = [pool.hold() for _ in range(n)]
    for one in held:
        pool.let_go(one)
    return [one[1] for one in held]


def use(pool):
    held = pool.hold()
    pool.let_go(held)
    return held[1]


def kill(*pids):
    for pid in pids:
        ask("select pg_terminate_backend(%s, 5000)", pid)


def outcome(action):
    try:
        action()
        return "works"
    except Exhausted:
        return "exhausted"
    except Refused:
        return "refused"
    except Lost:
        return "lost"


def attempts():
    return open(log).read().count("FATAL:  password authentication failed")


# ---- the scenarios: what is seen, as a short text ----

def nothing_in_advance(make):
    pool = make()
    return opened(pool)


def limits(make):
    pool = make(pool_size=2, max_overflow=1)
    held = [pool.hold() for _ in range(3)]
    seen = [len({h[1] for h in held}), outcome(pool.hold), opened(pool)]
    for one in held:
        pool.let_go(one)
    return seen + [settled(pool, 2)]


def no_overflow(make):
    pool = make(pool_size=2, max_overflow=0)
    held = [pool.hold() for _ in range(2)]
    seen = [outcome(pool.hold), opened(pool)]
    for one in held:
        pool.let_go(one)
    return seen + [settled(pool, 2)]


def unlimited_overflow(make):
    pool = make(pool_size=2, max_overflow=-1)
    held = [pool.hold() for _ in range(8)]
    seen = [opened(pool)]
    for one in held:
        pool.let_go(one)
    return seen + [settled(pool, 2)]


def first_returned_stays(make):
    pool = make(pool_size=1, max_overflow=2)
    held = [pool.hold() for _ in range(3)]
    for i in (1, 0, 2):
        pool.let_go(held[i])
    settled(pool, 1)
    return use(pool) == held[1][1]


def fifo(make):
    pool = make(pool_size=3, pool_use_lifo=False)
    pids = several(pool, 3)
    return [pids.index(use(pool)) for _ in range(6)]


def lifo(make):
    pool = make(pool_size=3, pool_use_lifo=True)
    pids = several(pool, 3)
    return [pids.index(use(pool)) for _ in range(3)]


def timeout_is_kept(make):
    pool = make(pool_size=1, max_overflow=0, pool_timeout=0.7)
    held = pool.hold()
    start = time.monotonic()
    seen = [outcome(pool.hold)]
    took = time.monotonic() - start
    pool.let_go(held)
    return seen + [0.69 < took < 1.2]


def timeout_zero(make):
    pool = make(pool_size=1, max_overflow=0, pool_timeout=0)
    held = pool.hold()
    start = time.monotonic()
    seen = [outcome(pool.hold), time.monotonic() - start < 0.3]
    pool.let_go(held)
    return seen


def error_names_the_numbers(make):
    pool = make(pool_size=1, max_overflow=0, pool_timeout=0.3)
    held = pool.hold()
    try:
        pool.hold()
        seen = "works"
    except Exhausted as error:
        words = str(error).replace("_", " ")
        seen = ["size 1" in words, "overflow 0" in words, "0.3" in words or "300ms" in words]
    pool.let_go(held)
    return seen


def waiter_is_served(make):
    pool = make(pool_size=1, max_overflow=0, pool_timeout=10)
    held = pool.hold()
    threading.Timer(0.3, lambda: pool.let_go(held)).start()
    next_one = pool.hold()
    pool.let_go(next_one)
    return next_one[1] == held[1]


def recycle(make):
    pool = make(pool_size=1, pool_recycle=1)
    first = use(pool)
    same = use(pool)
    time.sleep(1.3)
    return [same == first, use(pool) == first, settled(pool, 1)]


def no_recycle(make):
    pool = make(pool_size=1)
    first = use(pool)
    time.sleep(1.3)
    return use(pool) == first


def ping_replaces_the_dead(make):
    pool = make(pool_size=1, pool_pre_ping=True, pre_ping_after=0)
    first = use(pool)
    kill(first)
    return [outcome(lambda: use(pool)), use(pool) != first, settled(pool, 1)]


def number_of_pings(make):
    pool = make(pool_size=1, pool_pre_ping=True, pre_ping_after=0)
    for _ in range(4):
        use(pool)
    return pool.pings()


def pings_by_default(make):
    pool = make(pool_size=1)
    for _ in range(4):
        use(pool)
    return pool.pings()


def dead_without_ping(make):
    pool = make(pool_size=1)
    first = use(pool)
    kill(first)
    return [outcome(lambda: use(pool)), outcome(lambda: use(pool)), settled(pool, 1)]


def all_dead(make):
    pool = make(pool_size=3, pool_pre_ping=True, pre_ping_after=0)
    pids = several(pool, 3)
    kill(*pids)
    again = several(pool, 3)
    return [len(set(again)), len(set(again) & set(pids)), settled(pool, 3)]


def one_dead_of_three(make):
    """How many of the other two connections stay."""
    pool = make(pool_size=3, pool_pre_ping=True, pre_ping_after=0)
    pids = several(pool, 3)
    kill(pids[0])
    time.sleep(0.2)
    again = several(pool, 3)
    return len(set(again) & set(pids))


def killed_in_use(make):
    pool = make(pool_size=1)
    held = pool.hold()
    kill(held[1])
    try:
        pool.let_go(held)
    except Lost:
        pass
    return outcome(lambda: use(pool))


def transaction_on_return(make):
    pool = make(pool_size=1)
    pool.run("begin" if isinstance(pool, Ours) else "select 1")
    until(lambda: ask("select count(*) from pg_stat_activity where application_name = %s "
                      "and state like 'idle in transaction%%'", pool.name)[0][0] == 0)
    return "none stays"


def setting_by_default(make):
    pool = make(pool_size=1)
    pool.run("set my.mark = 'left'", "commit") if isinstance(pool, Theirs) else pool.run("set my.mark = 'left'")
    return pool.run("select current_setting('my.mark', true)") or ""


def setting_with_rollback(make):
    pool = make(pool_size=1, pool_reset="rollback")
    pool.run("set my.mark = 'left'", "commit") if isinstance(pool, Theirs) else pool.run("set my.mark = 'left'")
    return pool.run("select current_setting('my.mark', true)") or ""


def wrong_password(make):
    pool = make(password="wrong")
    before = attempts()
    return [outcome(lambda: use(pool)) for _ in range(3)] + [attempts() - before]


scenarios = [
    nothing_in_advance, limits, no_overflow, unlimited_overflow, first_returned_stays, fifo, lifo,
    timeout_is_kept, timeout_zero, error_names_the_numbers, waiter_is_served, recycle, no_recycle,
    ping_replaces_the_dead, number_of_pings, pings_by_default, dead_without_ping, all_dead,
    one_dead_of_three, killed_in_use, transaction_on_return, setting_by_default,
    setting_with_rollback, wrong_password]

for scenario in scenarios:
    seen = []
    for kind in (Theirs, Ours):
        pools = []

        def make(**settings):
            pools.append(kind(f"{kind.__name__.lower()}_{scenario.__name__}", **settings))
            return pools[-1]
        try:
            result = scenario(make)
        except Exception as error:
            result = " ".join(f"{type(error).__name__}: {error}".split())
        seen.append(" ".join(map(str, result)) if isinstance(result, list) else str(result))
        for pool in pools:
            pool.close()
    print(scenario.__name__, *seen, sep="\t", flush=True)
