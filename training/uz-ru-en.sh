#!/bin/sh
# Trains langidd/models/uz-ru-en again, from recordings to the packaged checkpoint.
#
#   sh training/uz-ru-en.sh SPEECH ENCODER WHISPER [RUNS]
#
# SPEECH: Common Voice directories (uz/ ru/ en/ other/). ENCODER: whisper-base, or its
# encoder alone. WHISPER: the whole whisper-base, the teacher. Needs espeak-ng, RHVoice
# (Debian's non-free: rhvoice rhvoice-russian rhvoice-english rhvoice-kyrgyz rhvoice-ukrainian
# rhvoice-brazilian-portuguese), and gettext catalogues in CATALOGUES for them to read from,
# as a desktop in many languages has them. The seeds are fixed; every step
# goes on where it was stopped. Two runs from one start are averaged: a short one, and a
# long one in two processes, whose steps are of twice the speech and which counts four times.
set -eu
speech=$1 encoder=$2 whisper=$3 runs=${4:-runs}
catalogues=${CATALOGUES:-/usr/share/locale} utterances=${UTTERANCES:-350}
voiced=${VOICED:-2600} revoiced=${REVOICED:-900}
short=${SHORT:-2100} long=${LONG:-13000}

langidd-train speak "$runs/espeak-near" --catalogues "$catalogues" \
    --per-language "$utterances" --languages uz,ru,en,az,kk,ky,tr,tt,tk,ug,ba
langidd-train speak "$runs/espeak-far" --catalogues "$catalogues" \
    --per-language "$((utterances / 7))" \
    --languages fa,uk,be,bg,sr,de,nl,sv,fr,es,it,pt,ro,pl,cs,fi,hu,hi,ar,ka,hy,el,id,vi,ko,zh,ur,he,et,lt
# RHVoice, voices of people: the fewer real ones a language has, the more of it.
rhvoice() { # DIRECTORY LANGUAGES UTTERANCES
    langidd-train speak "$runs/$1" --engine rhvoice --catalogues "$catalogues" \
        --languages "$2" --per-language "$3"
}
rhvoice rhvoice-ru ru "$voiced"
rhvoice rhvoice-en en "$((voiced * 17 / 26))"
rhvoice rhvoice-ky ky "$((voiced / 2))"
rhvoice rhvoice-far uk,pt "$((voiced * 6 / 26))"
langidd-train revoice "$runs/world" --data "$speech" --languages uz,ru,en --per-language "$revoiced"
langidd-train prepare uz-ru-en --runs "$runs" --languages uz,ru,en --data "$speech" \
    --data "$runs/espeak-near" --data "$runs/espeak-far" --data "$runs/rhvoice-ru" \
    --data "$runs/rhvoice-en" --data "$runs/rhvoice-ky" --data "$runs/rhvoice-far" \
    --data "$runs/world"
langidd-train teach uz-ru-en --runs "$runs" --checkpoint "$whisper"
langidd-train train uz-ru-en-short --data uz-ru-en --runs "$runs" --checkpoint "$encoder" \
    --preset teacher --languages uz,ru,en --seed 1 --steps "$short"
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 "$(command -v langidd-train)" \
    train uz-ru-en-long --data uz-ru-en --runs "$runs" --checkpoint "$encoder" \
    --preset teacher --languages uz,ru,en --seed 1 --steps "$long"
langidd-train average uz-ru-en --run uz-ru-en-short --run uz-ru-en-long:4 --data uz-ru-en \
    --runs "$runs" --checkpoint "$encoder" --preset teacher --languages uz,ru,en
langidd-train calibrate --model "$runs/uz-ru-en/model" --data "$speech"
