# The drivers that people come from, as they are: what they take and refuse,
# how they read an address, and that they can call the pool.
#
# drivers.py <directory of the socket> <port>
#
# Prints a line for each test: "ok - name", "not ok - name", "# why", "skip - name".
import asyncio
import inspect
import json
import os
import sys
import threading

for name in list(os.environ):
	if name.startswith('PG') or name.startswith('SSL'):
		del os.environ[name]
os.environ['HOME'] = '/nonexistent'

import asyncpg
import asyncpg.connect_utils
import psycopg
import psycopg.conninfo
import psycopg2
import psycopg2.extensions
import sqlalchemy
from sqlalchemy.engine.url import make_url
from sqlalchemy.ext.asyncio import create_async_engine

SOCKET, PORT = sys.argv[1], int(sys.argv[2])
CALL = "SELECT a FROM pool_config.query('crm', 'select 42') AS t(a int)"
SA = tuple(int(n) for n in sqlalchemy.__version__.split('.')[:2])


def ok(condition, name, why=''):
	print(('ok' if condition else 'not ok') + ' - ' + name)
	if not condition and why:
		print('# ' + str(why).replace('\n', ' '))


admin = psycopg2.connect(host=SOCKET, port=PORT, user='postgres', dbname='postgres')
admin.autocommit = True


def ours(url, args, driver=None):
	"""Our reading: a dictionary, or the error."""
	with admin.cursor() as cursor:
		try:
			cursor.execute('SELECT keyword, value FROM pool_config.parse_url(%s, %s, %s) WHERE source <> %s',
				(url, json.dumps(args) if args is not None else None, driver, 'provider'))
			return dict(cursor.fetchall())
		except psycopg2.Error as error:
			return error


def our_password(url, args):
	"""What a target of that address has as password."""
	with admin.cursor() as cursor:
		cursor.execute("SELECT pool_config.create_target('password', %s, %s, replace => true)",
			(url, json.dumps(args) if args is not None else None))
		cursor.execute("""SELECT option_value FROM pg_user_mappings, pg_options_to_table(umoptions)
			WHERE srvname = 'password' AND option_name = 'password'""")
		row = cursor.fetchone()
		return row[0] if row else None


# ---- the story: the wrong name fails there and here, the right one works

def connect_psycopg2(args):
	psycopg2.connect(host=SOCKET, port=PORT, user='postgres', dbname='postgres', **args).close()


def connect_psycopg(args):
	psycopg.connect(host=SOCKET, port=PORT, user='postgres', dbname='postgres', **args).close()


def connect_psycopg_async(args):
	async def go():
		await (await psycopg.AsyncConnection.connect(host=SOCKET, port=PORT, user='postgres',
			dbname='postgres', **args)).close()
	asyncio.run(go())


def connect_asyncpg(args):
	async def go():
		await (await asyncpg.connect(host=SOCKET, port=PORT, user='postgres', database='postgres', **args)).close()
	asyncio.run(go())


def connect_sa_psycopg2(args, query=''):
	engine = sqlalchemy.create_engine(
		f'postgresql+psycopg2://postgres@/postgres?host={SOCKET}&port={PORT}{query}', connect_args=args)
	engine.connect().close()
	engine.dispose()


def connect_sa_asyncpg(args, query=''):
	async def go():
		engine = create_async_engine(
			f'postgresql+asyncpg://postgres@/postgres?host={SOCKET}&port={PORT}{query}', connect_args=args)
		async with engine.connect():
			pass
		await engine.dispose()
	asyncio.run(go())


STORY = [
	# driver, connect, address for us, connect_args, right?
	('psycopg2', connect_psycopg2, 'host=h', {'connect_timeout': 5}, True),
	('psycopg2', connect_psycopg2, 'host=h', {'timeout': 5}, False),
	('psycopg2', connect_psycopg2, 'host=h', {'command_timeout': 5}, False),
	('psycopg2', connect_psycopg2, 'host=h', {'ssl': 'require'}, False),
	('psycopg2', connect_psycopg2, 'host=h', {'sslmode': 'prefer'}, True),
	('psycopg2', connect_psycopg2, 'host=h', {'keepalives': 1, 'keepalives_idle': 30}, True),
	('psycopg2', connect_psycopg2, 'host=h', {'connect_timeout': '5s'}, False),
	('psycopg2', connect_psycopg2, 'host=h', {'server_settings': 'x'}, False),
	('psycopg', connect_psycopg, 'host=h', {'connect_timeout': 5}, True),
	('psycopg', connect_psycopg, 'host=h', {'timeout': 5}, False),
	('psycopg', connect_psycopg, 'host=h', {'prepare_threshold': None}, True),
	('psycopg_async', connect_psycopg_async, 'host=h', {'connect_timeout': 5}, True),
	('psycopg_async', connect_psycopg_async, 'host=h', {'timeout': 5}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'timeout': 5}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'timeout': 2.5, 'command_timeout': 60}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'connect_timeout': 5}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'timeout': 0}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'command_timeout': 0}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'sslmode': 'prefer'}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'ssl': 'prefer'}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'ssl': False}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'ssl': 'true'}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'application_name': 'x'}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'server_settings': {'jit': 'off', 'application_name': 'x'}}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'keepalives': 1}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'statement_cache_size': 0}, True),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'dbname': 'db'}, False),
	('asyncpg', connect_asyncpg, 'postgresql://h/db', {'channel_binding': 'prefer'}, False),
	(None, connect_sa_psycopg2, 'postgresql+psycopg2://h/db', {'connect_timeout': 5}, True),
	(None, connect_sa_psycopg2, 'postgresql+psycopg2://h/db', {'timeout': 5}, False),
	(None, connect_sa_asyncpg, 'postgresql+asyncpg://h/db', {'timeout': 5}, True),
	(None, connect_sa_asyncpg, 'postgresql+asyncpg://h/db', {'connect_timeout': 5}, False),
]

STORY_IN_ADDRESS = [
	(connect_sa_psycopg2, 'postgresql+psycopg2://h/db?x=', '&sslmode=prefer', True),
	(connect_sa_psycopg2, 'postgresql+psycopg2://h/db?x=', '&connect_timeout=5', True),
	(connect_sa_psycopg2, 'postgresql+psycopg2://h/db?x=', '&timeout=5', False),
	(connect_sa_psycopg2, 'postgresql+psycopg2://h/db?x=', '&ssl=true', False),
	(connect_sa_psycopg2, 'postgresql+psycopg2://h/db?x=', '&pool_size=5', False),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&ssl=prefer', True),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&sslmode=prefer', False),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&connect_timeout=5', False),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&prepared_statement_cache_size=0', True),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&prepared_statement_cache_size=abc', False),
	(connect_sa_asyncpg, 'postgresql+asyncpg://h/db?x=', '&pool_size=5', False),
]


def refusal(call, *args):
	try:
		call(*args)
		return None
	except Exception as error:
		return error


def story():
	for driver, connect, url, args, right in STORY:
		there = refusal(connect, args)
		here = ours(url, args, driver)
		name = f'{driver or url} {args}'
		ok((there is None) == right, f'there: {name} {"works" if right else "fails"}', repr(there))
		ok(isinstance(here, dict) == right, f'here: {name} {"is taken" if right else "is refused"}', repr(here))
	for connect, url, query, right in STORY_IN_ADDRESS:
		there = refusal(connect, {}, query)
		here = ours(url.replace('x=', query[1:]), None)
		name = url + query
		ok((there is None) == right, f'there: {name} {"works" if right else "fails"}', repr(there))
		ok(isinstance(here, dict) == right, f'here: {name} {"is taken" if right else "is refused"}', repr(here))
	here = ours('postgresql://h/db', {'connect_timeout': 5}, 'asyncpg')
	ok('asyncpg calls it timeout' in here.diag.message_hint, 'the hint names what asyncpg calls it')
	here = ours('host=h', {'timeout': 5}, 'psycopg2')
	ok('connect_timeout' in here.diag.message_hint, 'the hint names what psycopg2 calls it')


# ---- the drivers and an engine call the pool

ENGINE = dict(pool_size=5, max_overflow=10, pool_recycle=300, pool_pre_ping=True)


def in_threads(call, n):
	results = []

	def go():
		try:
			results.append(call())
		except Exception as error:
			results.append(error)
	threads = [threading.Thread(target=go) for _ in range(n)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	return results


def calls():
	connection = psycopg2.connect(host=SOCKET, port=PORT, user='postgres', dbname='postgres', connect_timeout=5)
	with connection.cursor() as cursor:
		cursor.execute(CALL)
		ok(cursor.fetchall() == [(42,)], 'psycopg2 calls the pool')
	connection.close()

	with psycopg.connect(host=SOCKET, port=PORT, user='postgres', dbname='postgres', connect_timeout=5) as connection:
		ok(connection.execute(CALL).fetchall() == [(42,)], 'psycopg calls the pool')

	async def psycopg_async():
		connection = await psycopg.AsyncConnection.connect(host=SOCKET, port=PORT, user='postgres',
			dbname='postgres', connect_timeout=5)
		async with connection:
			return await (await connection.execute(CALL)).fetchall()
	ok(asyncio.run(psycopg_async()) == [(42,)], 'psycopg calls the pool, async')

	async def asyncpg_alone():
		connection = await asyncpg.connect(host=SOCKET, port=PORT, user='postgres', database='postgres', timeout=5)
		rows = await connection.fetch(CALL)
		await connection.close()
		return [row['a'] for row in rows]
	ok(asyncio.run(asyncpg_alone()) == [42], 'asyncpg calls the pool')

	def with_engine(name, driver, args):
		engine = sqlalchemy.create_engine(
			f'postgresql+{driver}://postgres@/postgres?host={SOCKET}&port={PORT}', connect_args=args, **ENGINE)

		def call():
			with engine.connect() as connection:
				return connection.execute(sqlalchemy.text(CALL)).scalar()
		results = in_threads(call, 15)
		ok(results == [42] * 15, f'15 threads on an engine with {name} call the pool', results)
		engine.dispose()

	def with_async_engine(name, driver, args):
		async def go():
			engine = create_async_engine(
				f'postgresql+{driver}://postgres@/postgres?host={SOCKET}&port={PORT}', connect_args=args, **ENGINE)

			async def call():
				async with engine.connect() as connection:
					return (await connection.execute(sqlalchemy.text(CALL))).scalar()
			results = await asyncio.gather(*(call() for _ in range(15)))
			await engine.dispose()
			return results
		results = asyncio.run(go())
		ok(results == [42] * 15, f'15 tasks on an engine with {name} call the pool', results)

	with_engine('psycopg2', 'psycopg2', {'connect_timeout': 5})
	with_async_engine('asyncpg', 'asyncpg', {'timeout': 5})
	if SA >= (2, 0):
		with_engine('psycopg', 'psycopg', {'connect_timeout': 5})
		with_async_engine('psycopg', 'psycopg_async', {'connect_timeout': 5})
	else:
		print(f'skip - an engine with psycopg: SQLAlchemy {sqlalchemy.__version__} has none, 2.0 does')


# ---- the same address, read there and here

def clean(keywords):
	"""One form for all: libpq's names, text, no defaults."""
	result = {}
	for name, value in keywords.items():
		if value is None or value == '':
			continue
		result['dbname' if name == 'database' else name] = str(value)
	if ',' in result.get('host', ''):
		hosts = result['host'].split(',')
		ports = result.get('port', '').split(',')
		if len(ports) == 1:
			ports = ports * len(hosts)
		result['port'] = ','.join(port or '5432' for port in ports)
	return result


def read_libpq(url, args):
	return clean(psycopg2.extensions.parse_dsn(psycopg2.extensions.make_dsn(url, **(args or {}))))


def read_psycopg(url, args):
	return clean(psycopg.conninfo.conninfo_to_dict(url, **(args or {})))


def asyncpg_parameters(dsn, **args):
	"""asyncpg's own reading of all that it can be given."""
	inspect.signature(asyncpg.connect).bind(dsn, **args)
	if isinstance(args.get('timeout'), str):
		raise TypeError('as asyncio says of a limit that is text')
	read = asyncpg.connect_utils._parse_connect_dsn_and_args
	# each version has arguments of its own
	given = {name: args.get(name) for name in inspect.signature(read).parameters}
	given.update(dsn=dsn, direct_tls=False)
	addresses, parameters = read(**given)[:2]
	hosts, ports = [], []
	for address in addresses:
		if isinstance(address, str):
			directory, _, port = address.rpartition('/.s.PGSQL.')
			hosts.append(directory)
			ports.append(port)
		else:
			hosts.append(address[0])
			ports.append(str(address[1]))
	result = dict(host=','.join(hosts), port=','.join(ports), user=parameters.user,
		password=parameters.password, dbname=parameters.database)
	if result['port'] == '5432':
		del result['port']
	mode = parameters.sslmode.name.replace('_', '-')
	if args.get('ssl') is not None or (dsn and 'sslmode' in dsn):
		result['sslmode'] = mode
	words = []
	for name, value in (parameters.server_settings or {}).items():
		if name in ('application_name', 'options'):
			result[name] = value
		else:
			words.append('-c ' + name + '=' + value.replace('\\', '\\\\').replace(' ', '\\ '))
	if words:
		result['options'] = ' '.join(words)
	if args.get('timeout') is not None:
		result['connect_timeout'] = result['connect_deadline'] = args['timeout']
	if args.get('command_timeout') is not None:
		result['command_timeout'] = args['command_timeout']
	return clean(result)


def read_asyncpg(url, args):
	return asyncpg_parameters(url, **(args or {}))


def read_sqlalchemy(url, args):
	url = make_url(url)
	arguments, keywords = url.get_dialect()().create_connect_args(url)
	keywords = dict(keywords)
	keywords.update(args or {})
	if 'asyncpg' in url.drivername:
		for name in ('async_fallback', 'prepared_statement_cache_size'):
			keywords.pop(name, None)
		return asyncpg_parameters(None, **keywords)
	return read_libpq('', {k: v for k, v in keywords.items()})


ALIKE = [
	# how it is read there, our driver argument, addresses and connect_args
	(read_libpq, None, [
		('postgresql://u:p@h/db', None),
		('postgres://u:p@h:5433/db', None),
		('postgresql://u:p%40s%2Fs%3a@h/db', None),
		('postgresql://u:p#w?x@h/db', None),
		('postgresql://u@%2Frun%2Fpostgresql/db', None),
		('postgresql:///db?host=/run/postgresql&user=u', None),
		('postgresql://u:p@[2001:db8::1]:5433/db', None),
		('postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write', None),
		('postgresql://u:p@h1,h2/db', None),
		('postgresql://u:p@h/db?ssl=true', None),
		('postgresql://u:p@h/db?connect_timeout=5&application_name=a+b', None),
		('postgresql://u:p@h/my%20db?options=-c%20jit%3Doff', None),
		('postgresql://u:p@h/db', {'sslmode': 'require', 'keepalives': 1}),
		('host=h port=5433 user=u password=\'p w\' dbname=db', None),
		('host = h user = u password = it\\\'s\\\\', None),
		('hostaddr=127.0.0.1 host=h tcp_user_timeout=1000', None),
	]),
	(read_psycopg, 'psycopg', [
		('postgresql://u:p@h/db?connect_timeout=5', None),
		('host=h user=u', {'connect_timeout': 5}),
		('postgresql://u:p@h1:1,h2:2/db?sslmode=require', None),
	]),
	(read_asyncpg, 'asyncpg', [
		('postgresql://u:p@h/db', None),
		('POSTGRES://u:p@h/db', None),
		('postgresql://u:p%40s@h:5433/my%20db', None),
		('postgresql://u:p@h1:1,h2:2/db', None),
		('postgresql://u:p@h1,h2/db', None),
		('postgresql://u:p@/db?host=h1,h2&port=1,2', None),
		('postgresql://u:p@/db?host=/run/postgresql', None),
		('postgresql://u:p@h/db?application_name=a+b', None),
		('postgresql://u:p@h/db?sslmode=disable', None),
		('postgresql://u:p@h/db?search_path=a,b', None),
		('postgresql://u:p@h/db?options=-c%20jit%3Doff', None),
		('postgresql://u:p@[::1]:5433/db', None),
		('postgresql://u:p@h/db', {'timeout': 5, 'command_timeout': 60}),
		('postgresql://u:p@h/db', {'ssl': 'prefer', 'server_settings': {'jit': 'off', 'search_path': 'a b'}}),
		('postgresql://u:p@/db', {'host': ['h1', 'h2'], 'port': [1, 2]}),
		('postgresql://u:p@h', {'database': 'db'}),
	]),
	(read_sqlalchemy, None, [
		('postgresql+psycopg2://u:p@h/db?sslmode=require', None),
		('postgresql+psycopg2://u:p/w?x#y+z@h:5433/db', None),
		('postgresql+psycopg2://u:p%40%2Fx@h/db', None),
		('postgresql+psycopg2://u@h/db?application_name=a+b%2Bc', None),
		('postgresql+psycopg2://u:p@/db?host=/run/postgresql', None),
		('postgresql+psycopg2://u:p@[::1]:5433/db', None),
		('postgresql+psycopg2://u:p@h1,h2/db', None),
		('postgresql+psycopg2://u:p@/db?host=h1:1&host=h2:2', None),
		('postgresql+psycopg2://u:p@/db?host=h1&host=h2:2', None),
		('postgresql+psycopg2://u:p@/db?host=h1,h2&port=1,2', None),
		('postgresql+psycopg2://u:p@h/db?options=-c jit=off', None),
		('postgresql+psycopg2://u:p@h/db', {'connect_timeout': 5}),
		('postgresql+psycopg2://u:p@h/db?sslmode=&application_name', None),
		('postgresql+asyncpg://u:p@h:5433/db?ssl=prefer', None),
		('postgresql+asyncpg://u:p@h/db?prepared_statement_cache_size=0&async_fallback=true', None),
		('postgresql+asyncpg://u:p@/db?host=/run/postgresql', None),
		('postgresql+asyncpg://u:p@h/db', {'timeout': 5, 'server_settings': {'jit': 'off', 'application_name': 'my app'}}),
		('postgresql+asyncpg://u:p@h/db', {'ssl': False}),
	]),
]

# Where we mean to differ: the same calls, and why.
DIFFERENT = [
	(read_libpq, None, 'POSTGRESQL://u:p@h/db', 'capitals are accepted'),
	(read_libpq, None, 'postgresql://u:p@ss@h/db', 'an "@" too many becomes a part of the host there'),
	(read_libpq, None, 'postgresql://u:p@::1/db', 'a colon too many becomes a part of the port there'),
	(read_libpq, None, 'postgresql://u:p@h1,h2:5433/db', 'which hosts have that port is not the same everywhere'),
	(read_libpq, None, 'postgresql://u:p@h1/db?host=h2', 'the first host is dropped in silence there'),
	(read_libpq, None, 'postgresql://u:p@h/db?sslmode=require&sslmode=disable', 'the first is dropped in silence there'),
	(read_libpq, None, 'postgresql://u:p@h/db#frag', 'a "#" is a part of the database name there'),
	(read_libpq, None, 'postgresql://u:p@h/db?replication=database', 'a pool runs statements'),
	(read_libpq, None, 'postgresql://u:p@h/db?connect_timeout=0', 'connecting always has a limit'),
	(read_libpq, None, 'postgresql://u:[YOUR-PASSWORD]@h/db', 'a placeholder'),
	(read_libpq, None, 'dbname=postgresql://u:p@h/db', 'an address within an address'),
	(read_asyncpg, 'asyncpg', 'postgresql://u:p@h/db#frag', 'what is behind a "#" is dropped there'),
	(read_asyncpg, 'asyncpg', 'postgresql://u:p@h1/db?host=h2', 'the second host is dropped in silence there'),
	(read_asyncpg, 'asyncpg', 'postgresql://u:p@h/db?connect_timeout=5', 'becomes a setting of the server there'),
	(read_sqlalchemy, None, 'postgresql+psycopg2://u:p@h1/db?host=h2', 'the first host is dropped in silence there'),
	(read_sqlalchemy, None, 'postgresql+psycopg2://u:p@h1,h2:5433/db', 'the port is that of both there'),
	(read_sqlalchemy, None, 'postgresql+psycopg2://u:p@%2Frun%2Fpg/db', 'the escapes stay in the host there'),
	(read_sqlalchemy, None, 'postgresql+psycopg2://h:5432/db?application_name=a@b', 'the "@" ends a password there'),
	(read_sqlalchemy, None, 'postgresql+psycopg2://u:p@/db?host=[::1]:5433&host=h2:1', 'brackets are split wrong there'),
	(read_sqlalchemy, None, 'postgres+psycopg2://u:p@h/db', 'known by another name'),
	(read_sqlalchemy, None, 'postgresql+psycopg3://u:p@h/db', 'known by another name'),
	(read_sqlalchemy, None, 'postgresql+asyncpg://u:p@h/db?timeout=5', 'text is no number there'),
]
if SA < (2, 1):
	DIFFERENT.append((read_sqlalchemy, None, 'postgresql+psycopg2://u:p@h/my%20db', 'the escape stays before 2.1'))


def compare(read, url, args, driver):
	"""Both readings, passwords included."""
	try:
		there = read(url, args)
	except Exception as error:
		there = error
	here = ours(url, args, driver)
	if isinstance(here, dict) and driver is None and 'password' in here:
		here['password'] = our_password(url, args)
	elif isinstance(there, dict) and isinstance(here, dict) and 'password' in there:
		there['password'] = '********'
	return there, here


def differential():
	for read, driver, vectors in ALIKE:
		for url, args in vectors:
			there, here = compare(read, url, args, driver)
			ok(isinstance(there, dict) and there == here, f'{read.__name__}: {url} {args or ""}',
				f'there {there!r}, here {here!r}')
	for read, driver, url, why in DIFFERENT:
		there, here = compare(read, url, None, driver)
		ok(there != here and (isinstance(there, dict) or isinstance(here, dict)),
			f'{read.__name__}: {url} differs: {why}', f'there {there!r}, here {here!r}')


story()
calls()
differential()
admin.close()
