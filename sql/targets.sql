-- Targets: made, seen, changed and dropped; connects to nothing.
CREATE EXTENSION pool_config;
SELECT pool_config.create_target('crm', 'postgresql://app:secret@db.example.com/sales?sslmode=disable',
	pool_size => 3, pool_recycle => 60, settings => '{"idle_timeout": "5min", "pool_use_lifo": false}');
SELECT target, usable, host, port, dbname, pool_size, max_overflow, pool_recycle, idle_timeout, pool_use_lifo,
	sources->>'pool_size' AS size_from, sources->>'max_overflow' AS overflow_from
FROM pool_config.targets;
SELECT srvname, srvoptions FROM pg_foreign_server;
SELECT usename, umoptions FROM pg_user_mappings;
SET pool_config.pool_timeout = '7s';
SELECT pool_timeout, sources->>'pool_timeout' AS timeout_from FROM pool_config.targets;
RESET pool_config.pool_timeout;
SELECT pool_config.alter_target('crm', max_overflow => -1, password => 'other');
SELECT pool_config.alter_target('crm', 'host=h2 user=app2');
SELECT srvoptions FROM pg_foreign_server;
SELECT umoptions FROM pg_user_mappings;
SELECT pool_config.reset_target('crm', 'pool_recycle', 'idle_timeout');
SELECT pool_config.reset_target('crm');
SELECT srvoptions FROM pg_foreign_server;
-- what is wrong, and how to mend it
SELECT pool_config.create_target('crm', 'host=h');
SELECT pool_config.create_target('x', 'host=h', pool_size => 0);
SELECT pool_config.create_target('x', 'host=h', settings => '{"pool_sise": 3}');
SELECT pool_config.create_target('x', 'host=h', settings => '{"min_idle": "many"}');
SELECT pool_config.create_target('x', 'host=h', connect_args => '{"timeout": 5}');
SELECT pool_config.create_target('postgresql://u:canary@h/db', 'crm');
SELECT pool_config.create_target('x', NULL);
SELECT pool_config.create_target('x', 'postgresql://u:p@h/db?connect_timeout=0');
SELECT pool_config.alter_target('crn', pool_size => 3);
SELECT pool_config.reset_target('crm', 'pool_sizes');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', pool_sise '3');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', pool_size 'five');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', password 'canary');
CREATE SERVER x FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', service 'prod');
CREATE USER MAPPING FOR CURRENT_USER SERVER crm OPTIONS (usr 'u');
CREATE FOREIGN TABLE t (a int) SERVER crm;
SET pool_config.pool_size = 7;
SET pool_config.command_timeout = 'soon';
-- addresses
SELECT * FROM pool_config.parse_url('postgresql://u:p%40ss@h:5433/db?connect_timeout=5&ssl=true');
SELECT * FROM pool_config.parse_url('host=h user=u', '{"port": 5433, "keepalives": 1}');
SELECT * FROM pool_config.parse_url('postgresql://u:pass@h/db?timeout=5');
SELECT * FROM pool_config.parse_url('postgresql+asyncpg://u:pass@h/db');
SELECT * FROM pool_config.parse_url('postgresql://u:p@ss@h/db');
-- dropped with its mappings, unless something hangs on it
SELECT pool_config.drop_target('crm');
SELECT count(*) FROM pg_user_mappings;
SELECT pool_config.drop_target('crm');
SELECT pool_config.drop_target('crm', true);
DROP EXTENSION pool_config;
