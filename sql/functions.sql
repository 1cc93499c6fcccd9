-- Every function: what the planner may assume of it.  And all has a comment.
CREATE EXTENSION pool_config;
\a
SELECT p.proname AS function, oidvectortypes(p.proargtypes) AS arguments,
	p.provolatile AS volatile, p.proparallel AS parallel, p.proisstrict AS strict,
	p.procost AS cost, nullif(p.prorows, 0) AS rows
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pool_config')
ORDER BY p.proname COLLATE "C", oidvectortypes(p.proargtypes) COLLATE "C";
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d
WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pool_config')
	AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_foreign_data_wrapper'::regclass)
	AND obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid)) IS NULL;
DROP EXTENSION pool_config;
