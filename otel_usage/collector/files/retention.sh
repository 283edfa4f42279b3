#!/bin/sh
# Keeps no report for longer than 30 days where a collector has its files: retention.sh PID
# The file exporter rotates by size alone, and a queue never gives up. So this looks each hour, for as long as the process
# PID runs, or once with `retention.sh PID once`:
# - usage.jsonl is moved aside when it was begun 7 days ago, and what is moved aside goes 22 days after its last line;
# - the queue of an exporter whose back end has taken nothing for 28 days is removed; the files have what is not as old.
# Then the collector opens its files anew (SIGHUP): for some 3 s it takes no connection, and clients come again. start.sh
# starts this, and compose.yaml has it as a service. A time in it is that of `date`.
set -eu
umask 077
pid=$1
data=${OTEL_USAGE_DATA:-./data} queue=${OTEL_USAGE_QUEUE:-./queue}
page=http://${OTEL_USAGE_OWN_METRICS_READ:-${OTEL_USAGE_OWN_METRICS_HOST:-127.0.0.1}:${OTEL_USAGE_OWN_METRICS_PORT:-9465}}/metrics
day=86400

# Tells whether a file was last written before so many days.
is_older() {
    written=$(stat -c %Y "$1") && [ $((now - written)) -gt $(($2 * day)) ]
}

# Moves the live file aside after a week, and removes what was moved aside.
files() {
    begun=$data/.begun
    if [ ! -s "$data/usage.jsonl" ]; then
        rm -f "$begun" # with the first line a week begins
    else
        [ -e "$begun" ] || { : >"$begun" && touch -d "@$now" "$begun"; }
        if is_older "$begun" 7; then
            mv "$data/usage.jsonl" "$data/usage-$(date -u +%Y-%m-%dT%H-%M-%S).000.jsonl"
            rm -f "$begun"
            anew=yes
        fi
    fi
    for file in "$data"/usage-*.jsonl*; do
        if [ -f "$file" ] && is_older "$file" 22; then rm -f "$file"; fi
    done
}

# Prints a figure of an exporter on the collector's own page; nothing where there is none.
figure() {
    printf '%s\n' "$figures" | sed -n "s/^otelcol_exporter_$1{.*exporter=\"$2\".* //p"
}

queues() {
    figures=$({ wget -qO- "$page" || curl -fsS "$page"; } 2>/dev/null) || figures=
    for file in "$queue"/exporter_*; do
        [ -f "$file" ] || continue
        case $file in
        *.sent) continue ;;
        *.damaged-*) # start.sh has set it aside
            if is_older "$file" 28; then rm -f "$file"; fi
            continue
            ;;
        esac
        name=${file##*/exporter_}
        name=$(printf %s "${name%%_traces}" | sed 's/_$//; s/_/[_\/]/g') # as its file has it, for the slash too
        taken=$(figure sent_spans "$name")
        if [ ! -e "$file.sent" ] || [ "$(figure queue_size "$name")" = 0 ] || [ "${taken:-$(cat "$file.sent")}" != "$(cat "$file.sent")" ]; then
            printf %s "$taken" >"$file.sent"
            touch -d "@$now" "$file.sent"
        elif is_older "$file.sent" 28; then
            rm -f "$file" "$file.sent"
            echo "otel-usage: the back end of $file has taken nothing for 28 days; what waited is removed" >&2
            anew=yes
        fi
    done
}

look() {
    now=$(date +%s) anew=
    files
    queues
    if [ -n "$anew" ]; then kill -HUP "$pid"; fi
}

looked=0
while kill -0 "$pid" 2>/dev/null; do
    if [ $(($(date +%s) - looked)) -ge 3600 ]; then
        looked=$(date +%s)
        look || echo "otel-usage: what is old could not be looked for" >&2
    fi
    [ "${2:-}" != once ] || exit 0
    sleep 5
done
