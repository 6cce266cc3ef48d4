-- The EMR's programs may choose ids themselves. PostgreSQL needs a function for ids that no row has; SQLite counts on from the highest.
select 1;
