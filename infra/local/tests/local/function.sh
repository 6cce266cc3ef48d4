#!/bin/sh
# A function's process that does nothing by itself: it leaves word of its start, and the test speaks for it.
set -e
word="$PROBE_FOLDER/started.$$"
env > "$word.new"
mv "$word.new" "$word"
echo "started as $$"
exec sleep 600
