#!/bin/sh
# A function's process that does nothing itself: it signals its start, and the test acts for it.
set -e
word="$PROBE_FOLDER/started.$$"
env > "$word.new"
mv "$word.new" "$word"
echo "started as $$"
exec sleep 600
