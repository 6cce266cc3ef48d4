-- Here columns have one type each, and their order is its own. SQLite needs indexes for that.
select 1;
