#!/bin/sh
# Trains langidd/models/uz-ru-en again, from recordings to the packaged checkpoint.
#
#   sh training/uz-ru-en.sh SPEECH ENCODER WHISPER [RUNS]
#
# SPEECH: Common Voice directories (uz/ ru/ en/ other/). ENCODER: whisper-base, or its
# encoder alone. WHISPER: the whole whisper-base, the teacher. Needs espeak-ng, and
# gettext catalogues in CATALOGUES for it to read from. The seeds are fixed; every step
# goes on where it was stopped. Two processes train, for the two cores that the shipped
# weights had; STEPS are those of both together.
set -eu
speech=$1 encoder=$2 whisper=$3 runs=${4:-runs}
catalogues=${CATALOGUES:-/usr/share/locale} steps=${STEPS:-5400} utterances=${UTTERANCES:-350}

langidd-train speak "$runs/espeak-near" --catalogues "$catalogues" \
    --per-language "$utterances" --languages uz,ru,en,az,kk,ky,tr,tt,tk,ug,ba
langidd-train speak "$runs/espeak-far" --catalogues "$catalogues" \
    --per-language "$((utterances / 7))" \
    --languages fa,uk,be,bg,sr,de,nl,sv,fr,es,it,pt,ro,pl,cs,fi,hu,hi,ar,ka,hy,el,id,vi,ko,zh,ur,he,et,lt
langidd-train prepare uz-ru-en --runs "$runs" --data "$speech" \
    --data "$runs/espeak-near" --data "$runs/espeak-far"
langidd-train teach uz-ru-en --runs "$runs" --checkpoint "$whisper"
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 "$(command -v langidd-train)" \
    train uz-ru-en --runs "$runs" --checkpoint "$encoder" --preset teacher --steps "$steps" --seed 1
langidd-train calibrate --model "$runs/uz-ru-en/model" --data "$speech"
