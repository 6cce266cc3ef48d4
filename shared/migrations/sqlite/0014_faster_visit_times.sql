-- SQLite's triggers have no functions to call.
select 1;
