#!/bin/bash
# Runs inside the booted tree (run.sh puts it there) and checks the service as its owner would.
# Prints a line of the table for each thing; ends with 1 if anything was not as it should be.
set -uo pipefail

PATH=/opt/langidd/bin:/usr/sbin:/usr/bin:/sbin:/bin
CONFIG=/etc/langidd/config.toml
PASSWORD=mellon-tRee-91
EVENTS=/run/events.txt
RECORDING=$(python3 -c 'import langidd.demo as demo; print(demo.__path__[0])')/conversation.ogg
failures=0

# The table.

row() { echo "| $1 | $2 | ${3:-} |"; }
good() { row "$1" yes "${2:-}"; }
bad() {
    row "$1" "**no**" "${2:-}"
    failures=$((failures + 1))
}
expect() { # WHAT FIGURE CONDITION...: a line that says whether the condition holds
    local what=$1 figure=$2
    shift 2
    if "$@" > /dev/null 2>&1; then good "$what" "$figure"; else bad "$what" "$figure"; fi
}
now() { date +%s%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s", (b - a) / 1e9 }'; }
soon() { # SECONDS CONDITION...: wait until it holds
    local until=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}
timed() { # SECONDS WHAT CONDITION...: it holds within so many seconds, and after how many
    local limit=$1 what=$2 start
    shift 2
    start=$(now)
    if soon "$limit" "$@"; then good "$what" "$(since "$start")"; else bad "$what" "not in $limit s"; fi
}

# What is known of the service.

unit() { systemctl show -P "$1" langidd; }
is() { [ "$(unit "$1")" = "$2" ]; }
isnt() { ! is "$@"; }
live() { [[ $(unit StatusText) == "$1 of $1 sources live"* ]]; }
says() { # TEXT: in the journal since the mark
    journalctl --sync
    journalctl --no-pager -o cat -u langidd --after-cursor "$cursor" | grep -- "$1" > /dev/null
}
mark() {
    journalctl --sync
    cursor=$(journalctl --no-pager -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
}
heard() { # TOPIC TEXT: what the broker keeps there
    mosquitto_sub "${login[@]}" -C 1 -W 2 -t "langidd/booted/$1" | grep -- "$2" > /dev/null
}
events() { grep -c . "$EVENTS"; }
more_events() { [ "$(events)" -gt "$1" ]; }
login=()
listen() { # a subscriber that misses nothing: all events, also those of its absence
    touch "$EVENTS"
    (
        while :; do
            mosquitto_sub "${login[@]}" -i listener -c -q 1 -t 'langidd/+/+/event' >> "$EVENTS" 2> /dev/null
            sleep 0.2
        done
    ) &
    listener=$!
}
deaf() {
    kill "$listener"
    pkill mosquitto_sub
    wait "$listener" 2> /dev/null
}
configure() { # SOURCES... of the recording; a configuration of them, with $mqtt for [mqtt]
    {
        printf 'node = "booted"\n[mqtt]\nhost = "localhost"\n%s\n[http]\nport = 9123\n' "${mqtt:-}"
        for name in "$@"; do
            printf '[[sources]]\nname = "%s"\nfile = "%s"\nrealtime = true\nloop = true\n' \
                "$name" "$RECORDING"
        done
    } > "$CONFIG"
}
as_service() { # COMMAND...: as its user, where it sees what it sees
    local pid owner
    pid=$(unit MainPID)
    owner=$(stat -c %u "/proc/$pid")
    nsenter -t "$pid" -m setpriv --reuid "$owner" --regid "$owner" --clear-groups "$@" 2> /dev/null
}

install_and_start() {
    local said start ready
    said=$(langidd service install) || bad "langidd service install" "$said"
    systemctl daemon-reload
    said=$(systemd-analyze verify /etc/systemd/system/langidd.service 2>&1 | grep langidd | grep -v "Command 'man")
    expect "\`langidd service install\`, and systemd takes the unit without a word" "$said" [ -z "$said" ]
    configure demo
    # It reads torch and the model from a cold disk; on a busy machine that is slow.
    said=$(langidd check --timeout 120 --config "$CONFIG" 2>&1 | grep -v '^✓')
    expect "\`langidd check\` finds nothing wrong" "$said" [ -z "$said" ]
    mark
    start=$(now)
    systemctl start --no-block langidd
    soon 10 is ActiveState activating
    systemctl is-active --quiet langidd && bad "activating while the model is read"
    soon 120 isnt ActiveState activating
    ready=$(since "$start")
    expect "active only once the model is warm (READY=1)" "$ready" says 'model uz-ru-en on cpu'
    is ActiveState active || bad "active" "$(unit ActiveState)"
    timed 10 "STATUS says how many sources are live" live 1
    timed 10 "/readyz answers 200" answers readyz 200
    expect "/livez answers 200" "" answers livez 200
    listen
    for language in uz ru en; do
        timed 60 "a subscriber receives \`$language\`" grep -q "\"language\":\"$language\"" "$EVENTS"
    done
    row "STATUS, word for word" "" "\`$(unit StatusText)\`"
}

sandbox() {
    local pid owner state=/proc/$(unit MainPID)/status refused path
    pid=$(unit MainPID)
    owner=$(stat -c %u "/proc/$pid")
    expect "a user of its own (DynamicUser=)" "uid $owner" [ "$owner" -ge 61184 -a "$owner" -le 65519 ]
    expect "no capabilities" "" grep -q '^CapBnd:\s*0*$' "$state"
    expect "no new privileges, and system calls filtered" "" \
        [ "$(awk '/^NoNewPrivs|^Seccomp:/ {printf $2}' "$state")" = 12 ]
    for path in /etc/langidd /usr /opt/langidd /var/lib/mosquitto /; do
        as_service touch "$path/written" && bad "cannot write $path"
    done
    for path in /var/lib/langidd /var/cache/langidd /run/langidd /tmp; do
        as_service touch "$path/written" && as_service rm "$path/written" || bad "can write $path"
    done
    as_service ls /etc/langidd/credentials && bad "cannot read others' credentials"
    as_service ls /root && bad "cannot see /root"
    touch /tmp/of-others
    as_service ls /tmp/of-others && bad "cannot see others' /tmp"
    as_service cat /proc/1/status && bad "cannot see others' processes"
    good "writes its state, cache, runtime and private /tmp, and nothing else; sees no home and no other process"
    refused=$(journalctl --no-pager -b -o cat -u langidd | grep -iE \
        'read-only file|permission denied|not permitted|seccomp|bad system call|could not create')
    expect "nothing in the journal of a right that is missing" "$refused" [ -z "$refused" ]
}

refusals() { # what the filter refuses from start to work, as strace sees it from outside
    local old pid calls
    configure demo
    old=$(unit MainPID)
    systemctl restart --no-block langidd
    until pid=$(unit MainPID); [ "$pid" != "$old" ] && [ "$pid" != 0 ]; do sleep 0.01; done
    timeout 40 strace -f -Z -o /run/strace.txt -p "$pid" > /dev/null 2>&1
    calls=$(grep -E '= -1 (EPERM|EACCES|EROFS)' /run/strace.txt | sed -E 's/^[0-9]+ +//; s/\((.*"(.*)")?.*/ \2/' |
        sort | uniq -c | awk '{ printf "%s%s%s × %d", n++ ? ", " : "", $2, $3 ? " " $3 : "", $1 }')
    rm /run/strace.txt
    row "system calls refused from its start on (strace, 40 s)" "" "${calls:-none}"
    timed 60 "works under strace, too" live 1
}

network() {
    mqtt=""
    login=()
    rm -f /etc/mosquitto/conf.d/passwords.conf
    ip addr add 203.0.113.1/32 dev lo # not a private address
    printf 'listener 1883 localhost\nlistener 1884 203.0.113.1\nallow_anonymous true\n' \
        > /etc/mosquitto/conf.d/far.conf
    systemctl restart mosquitto
    configure demo
    sed -i 's/^host = .*/host = "203.0.113.1"\nport = 1884/' "$CONFIG"
    mark
    systemctl restart langidd
    soon 15 says 'broker 203.0.113.1:1884.*trying again'
    expect "a broker that is not in the local network is out of reach" "" \
        bash -c "! journalctl -o cat -u langidd --after-cursor '$cursor' | grep -q 'connected to broker'"
    langidd service install --internet > /dev/null
    systemctl daemon-reload
    mark
    systemctl restart langidd
    timed 15 "with \`--internet\` it is reached" says 'connected to broker 203.0.113.1'
    rm -r /etc/systemd/system/langidd.service.d /etc/mosquitto/conf.d/far.conf
    ip addr del 203.0.113.1/32 dev lo
    systemctl daemon-reload
    systemctl restart mosquitto
}

credentials() {
    local file=/etc/langidd/credentials/mqtt leaks
    mosquitto_passwd -b -c /etc/mosquitto/passwords langidd "$PASSWORD"
    chown mosquitto /etc/mosquitto/passwords
    printf 'listener 1883\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n' \
        > /etc/mosquitto/conf.d/passwords.conf
    deaf
    systemctl restart mosquitto
    login=(-u langidd -P "$PASSWORD")
    listen
    mqtt=$'username = "langidd"\npassword_file = "credentials/mqtt"'
    configure demo
    install -m 0600 <(echo "not-$PASSWORD") "$file"
    mark
    systemctl restart langidd
    timed 15 "a broker that wants a password refuses a wrong one, and the journal says so" \
        says 'broker localhost:1883 refuses the connection: not authorized'
    expect "the service goes on all the same" "" is ActiveState active
    install -m 0600 <(echo "$PASSWORD") "$file"
    mark
    systemctl restart langidd
    timed 15 "LoadCredential= gives it the right one (root's alone on disk)" says 'connected to broker'
    leaks=$(journalctl --no-pager -b -a -o export | grep -a -c -- "$PASSWORD")
    leaks+=$(tr '\0' '\n' < "/proc/$(unit MainPID)/environ" | grep -c -- "$PASSWORD")
    leaks+=$(systemctl show langidd | grep -c -- "$PASSWORD")
    leaks+=$(grep -c -- "$PASSWORD" /etc/systemd/system/langidd.service)
    expect "the password is neither in the journal nor in the environment or the unit" "" [ "$leaks" = 0000 ]
    expect "nobody else can read the credential" "" \
        bash -c '! setpriv --reuid 65534 --regid 65534 --clear-groups cat /run/credentials/langidd.service/credentials_mqtt'
}

reload() {
    local pid start races=0 turn
    pid=$(unit MainPID)
    soon 20 live 1
    configure demo second
    mark
    start=$(now)
    systemctl reload langidd
    expect "\`systemctl reload\` takes a new source; active again" "$(since "$start")" is ActiveState active
    timed 10 "the new source is live" heard second/availability online
    configure demo
    mark
    systemctl reload langidd
    timed 10 "a source that is gone is let go" says 'source second: removed'
    expect "the other was not touched" "" \
        bash -c "! journalctl -o cat -u langidd --after-cursor '$cursor' | grep -q 'demo: connecting'"
    echo 'nonsense = [' >> "$CONFIG"
    mark
    systemctl reload langidd
    timed 10 "a broken file leaves everything as it was, and the journal says so" \
        says 'the configuration stays as it was'
    configure demo
    sed -i 's/^loop = true/lop = true/' "$CONFIG"
    mark
    systemctl reload langidd
    timed 10 "an unknown key as well" says 'unknown key sources\[0\].lop'
    timed 10 "STATUS is back after each" live 1
    for turn in $(seq 10); do
        configure demo "turn-$turn"
        systemctl reload langidd
        metrics | grep "source=\"turn-$turn\"" > /dev/null || races=$((races + 1))
    done
    expect "\`systemctl reload\` returns when the new configuration is in force" \
        "$((10 - races)) of 10" [ "$races" = 0 ]
    configure demo
    systemctl reload langidd
    soon 10 live 1
    printf 'preset = "fast"\n' >> "$CONFIG"
    systemctl reload langidd
    timed 20 "the only source changes: it is restarted, the service goes on" live 1
    configure demo
    systemctl reload langidd
    soon 10 live 1
    expect "all of that in one process" "pid $pid" is MainPID "$pid"
}

priorities() {
    local wrong
    wrong=$(journalctl --no-pager -b -o cat -u langidd | grep -cE '^<[0-7]>')
    expect "no priority stands in a line's text" "" [ "$wrong" = 0 ]
    for pair in '3 the configuration stays as it was' '4 the connection was lost; trying again' '6 connected to broker'; do
        expect "priority ${pair%% *}: \"${pair#* }\"" "" bash -c "
            journalctl --no-pager -b -o json -u langidd | grep -F '${pair#* }' |
            python3 -c 'import json, sys
sys.exit({json.loads(line)[\"PRIORITY\"] for line in sys.stdin} != {\"${pair%% *}\"})'"
    done
}

ending() {
    local start
    mark
    start=$(now)
    systemctl stop langidd
    start=$(since "$start")
    expect "\`systemctl stop\` takes less than 5 s" "$start" awk "BEGIN { exit !(${start% s} < 5) }"
    expect "it ended by itself, with status 0" "" says 'Deactivated successfully'
    timed 5 "the broker keeps \`offline\`" heard status offline
    expect "the outbox is still there, its owner's alone" \
        "$(stat -c %A /var/lib/private/langidd)" test -s /var/lib/langidd/outbox.sqlite3
    systemctl start --no-block langidd
    soon 10 is ActiveState activating
    sleep 1
    start=$(now)
    systemctl stop langidd
    start=$(since "$start")
    expect "stopped while it starts: as soon" "$start" awk "BEGIN { exit !(${start% s} < 5) }"
    expect "that, too, is no failure" "$(unit Result)" is ActiveState inactive
    systemctl start langidd
}

kill_9() {
    local before waiting pid restarts
    soon 60 more_events "$(events)"
    restarts=$(unit NRestarts)
    systemctl stop mosquitto
    soon 90 at_least_waiting 2
    timed 10 "without the broker /readyz answers 503" answers readyz 503
    expect "and /livez 200: a restart would not help" "" answers livez 200
    waiting=$(waiting)
    before=$(events)
    pid=$(unit MainPID)
    mark
    kill -9 "$pid"
    timed 90 "kill -9: systemd restarts it, and it is ready" \
        bash -c "systemctl is-active --quiet langidd && [ \$(systemctl show -P MainPID langidd) != $pid ]"
    expect "one more restart is counted" "$(unit NRestarts)" [ "$(unit NRestarts)" -eq $((restarts + 1)) ]
    expect "events that waited are still there" "$waiting waited" [ "$waiting" -ge 1 -a "$(waiting)" -ge "$waiting" ]
    systemctl start mosquitto
    timed 120 "and reach the subscriber" more_events $((before + waiting - 1))
}

metrics() {
    python3 -c 'import urllib.request as web
print(web.urlopen("http://127.0.0.1:9123/metrics", timeout=5).read().decode())' 2> /dev/null
}
answers() { # PAGE STATUS: what HTTP says of its health
    python3 -c 'import sys, urllib.error, urllib.request as web
try:
    status = web.urlopen(f"http://127.0.0.1:9123/{sys.argv[1]}", timeout=5).status
except urllib.error.HTTPError as error:
    status = error.code
sys.exit(str(status) != sys.argv[2])' "$1" "$2" 2> /dev/null
}
waiting() { metrics | awk '/^langidd_outbox_events/ { printf "%d", $2 }'; } # events in the outbox
at_least_waiting() { [ "$(waiting)" -ge "$1" ]; }

frozen() {
    local pid start limit
    soon 60 live 1
    pid=$(unit MainPID)
    limit=$(unit WatchdogUSec)
    mark
    start=$(now)
    kill -STOP "$pid"
    soon 150 isnt MainPID "$pid"
    expect "SIGSTOP: the watchdog ($limit) ends it" "$(since "$start")" isnt MainPID "$pid"
    expect "as a watchdog's doing (the journal says so)" "" says "Failed with result 'watchdog'"
    timed 90 "and it is ready again" is ActiveState active
    timed 20 "with its source" live 1
}

broker() {
    local before start
    soon 60 more_events "$(events)"
    systemctl stop mosquitto
    soon 90 at_least_waiting 1
    systemctl start mosquitto
    before=$(events)
    timed 120 "the broker restarts: events go on" more_events "$before"
    soon 30 at_most_waiting 0
    systemctl kill -s KILL mosquitto
    systemctl start mosquitto
    timed 120 "and after its kill -9" more_events "$(events)"
}
at_most_waiting() { [ "$(waiting)" -le "$1" ]; }

ledger() { # all that the subscriber received: holes, repetitions
    local said
    deaf
    said=$(python3 - "$EVENTS" << 'EOF'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
numbers = [event["sequence"] for event in events]
lost = len(set(range(min(numbers), max(numbers) + 1)) - set(numbers))
print(f"{len(set(numbers))} events, {lost} lost, {len(numbers) - len(set(numbers))} twice")
sys.exit(bool(lost))
EOF
    ) && good "no event was lost in all of it" "$said" || bad "no event was lost in all of it" "$said"
}

ends() {
    systemctl stop langidd
    configure demo
    sed -i '/^realtime\|^loop/d' "$CONFIG"
    mark
    systemctl start langidd
    timed 60 "a recording that is over is an end, not a failure: no restart" is ActiveState inactive
    expect "its result" "$(unit Result)" is Result success
    echo 'nonsense = [' >> "$CONFIG"
    mark
    systemctl start langidd 2> /dev/null && bad "a broken file at the start fails"
    timed 30 "a broken file at the start: said in a line, tried again (RestartSec=5)" \
        bash -c '[ $(systemctl show -P NRestarts langidd) -ge 2 ]'
    row "what the journal says" "" "\`$(journalctl --no-pager -o cat -u langidd -p err -t langidd | tail -1)\`"
    configure demo
    timed 60 "mended, it comes back by itself" is ActiveState active
}

drop_ins() {
    local names score
    for names in "" microphone gpu internet "microphone gpu internet"; do
        rm -rf /etc/systemd/system/langidd.service.d
        # shellcheck disable=SC2086,SC2046 - words
        langidd service install $(printf -- ' --%s' $names | grep -v -- '^ --$') > /dev/null
        systemctl daemon-reload
        systemctl restart langidd
        soon 20 live 1
        score=$(systemd-analyze security --no-pager langidd | sed -n 's/.*service: //p' | tr -d ':)-')
        expect "starts and decides with ${names:-no drop-in}; \`systemd-analyze security\`" "$score" live 1
    done
    rm -r /etc/systemd/system/langidd.service.d
    systemctl daemon-reload
    systemctl restart langidd
}

after_boot() {
    timed 120 "enabled, it is active after the next boot" is ActiveState active
    timed 20 "with its source" live 1
}

echo "| checked | holds | figure |"
echo "|---|---|---|"
if [ $# -gt 0 ]; then
    for step in "$@"; do "$step"; done
else
    install_and_start
    sandbox
    credentials
    reload
    ending
    kill_9
    frozen
    broker
    ledger
    priorities
    refusals
    network
    ends
    drop_ins
    systemctl enable --quiet langidd
fi
exit $((failures > 0))
