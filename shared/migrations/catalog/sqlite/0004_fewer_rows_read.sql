-- SQLite counts ids on from the highest one and needs no function for that.
select 1;
