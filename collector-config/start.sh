#!/bin/sh
# Starts a collector whose queues are on disk: start.sh gateway.yaml [more of the collector's arguments]
# The collector does not start while a queue file is damaged, as a failing disk can leave one. So each is checked first,
# by its format's own tool, and one that is damaged is set aside and said. What waited in it is lost to Jaeger or Kafka,
# and is still in the gateway's file. What is written is for the collector's user alone.
set -eu
umask 077
queue=${OTEL_USAGE_QUEUE:-./queue}
for file in "$queue"/exporter_*; do
    case $file in *.damaged-*) continue ;; esac
    [ -s "$file" ] || continue
    if ! "${BBOLT:-bbolt}" check "$file" >/dev/null 2>&1; then
        aside=$file.damaged-$(date -u +%Y%m%dT%H%M%SZ)
        mv "$file" "$aside"
        echo "otel-usage: the queue $file is damaged; it is set aside as $aside, and an empty one takes its place" >&2
    fi
done
config=$1
shift
# The file exporter gives a file that it makes mode 0644, whatever the umask says, and one that is there keeps its own.
if grep -q '/usage\.jsonl$' "$config"; then
    data=${OTEL_USAGE_DATA:-./data}
    mkdir -p "$data"
    : >>"$data/usage.jsonl"
    chmod 600 "$data"/usage*.jsonl
fi
# A directory that was there keeps its mode, and may be a system's own; so it is named, not changed.
for directory in "$queue" ${data:+"$data"}; do
    if [ -n "$(find "$directory" -prune \( -perm -010 -o -perm -001 \) 2>/dev/null)" ]; then
        echo "otel-usage: others may enter $directory, and what is written there later is theirs to read; chmod 700 it" >&2
    fi
done
exec "${OTELCOL:-otelcol-usage}" --config "$config" "$@"
