-- A file holds nothing but what is ours.
select 1;
