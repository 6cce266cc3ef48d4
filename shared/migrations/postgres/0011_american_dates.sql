-- Only SQLite's columns hold dates that are written in other ways.
select 1;
