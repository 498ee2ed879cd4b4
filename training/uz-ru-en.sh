#!/bin/sh
# Trains langidd/models/uz-ru-en again, from recordings to the calibrated checkpoint and its card.
#
#   sh training/uz-ru-en.sh SPEECH NOISE WHISPER [RUNS]
#
# SPEECH: Common Voice directories (uz/ ru/ en/ other/) with train, dev and foreign tables. NOISE:
# recordings; audiomentations_* are trained with, esc10_* and room_* measured with. WHISPER: the
# whole whisper-base. Needs espeak-ng, RHVoice (Debian's non-free: rhvoice rhvoice-russian
# rhvoice-english rhvoice-kyrgyz rhvoice-ukrainian rhvoice-brazilian-portuguese), and gettext
# catalogues in CATALOGUES for them to read from, as a desktop in many languages has them.
# The seeds are fixed; every step goes on where it was stopped.
set -eu
speech=$1 noise=$2 whisper=$3 runs=${4:-runs}
catalogues=${CATALOGUES:-/usr/share/locale} utterances=${UTTERANCES:-200} steps=${STEPS:-}
splits=${SPLITS:-dev foreign}
model=$runs/uz-ru-en/model evaluation=$runs/uz-ru-en/evaluation

speak() { # DIRECTORY LANGUAGES UTTERANCES [OPTION...]
    directory=$runs/$1 languages=$2 count=$3
    shift 3
    langidd-train speak "$directory" --catalogues "$catalogues" \
        --languages "$languages" --per-language "$count" "$@"
}
speak espeak-near uz,ru,en,az,kk,ky,tr,tt,tk,ug,ba "$utterances"
speak espeak-far \
    fa,uk,be,bg,sr,de,nl,sv,fr,es,it,pt,ro,pl,cs,fi,hu,hi,ar,ka,hy,el,id,vi,ko,zh,ur,he,et,lt \
    "$((utterances * 3 / 20))"
# RHVoice, voices of people: the fewer real ones a language has, the more of it.
speak rhvoice-ru ru "$((utterances * 7 / 2))" --engine rhvoice
speak rhvoice-ky ky "$((utterances * 3 / 2))" --engine rhvoice
speak rhvoice-en en "$((utterances * 3 / 2))" --engine rhvoice
speak rhvoice-far uk,pt "$((utterances * 2 / 5))" --engine rhvoice

langidd-train prepare uz-ru-en --runs "$runs" --languages uz,ru,en --data "$speech" \
    --data "$runs/espeak-near" --data "$runs/espeak-far" --data "$runs/rhvoice-ru" \
    --data "$runs/rhvoice-ky" --data "$runs/rhvoice-en" --data "$runs/rhvoice-far"
langidd-train teach uz-ru-en --runs "$runs" --checkpoint "$whisper"
langidd-train train uz-ru-en --runs "$runs" --checkpoint "$whisper" --languages uz,ru,en \
    --preset default --noise "$noise/audiomentations_*" ${steps:+--steps "$steps"}
set --
for split in $splits; do set -- "$@" --split "$split"; done
langidd-train evaluate --model "$model" --data "$speech" "$@" --baseline "$whisper" \
    --noise "$noise/esc10_*" --room "$noise/room_*" --out "$evaluation"
langidd-train calibrate --model "$model" --scores "$evaluation"
langidd-train evaluate --model "$model" --scores "$evaluation" --out "$evaluation" \
    --into "$model/evaluation.json"
langidd-train report --evaluation "$evaluation" --run "$runs/uz-ru-en" --store "$runs/uz-ru-en" \
    --notes "$(dirname "$0")/uz-ru-en.md" --out "$model"
