#!/bin/sh
# Trains langidd/models/uz-ru-en again, from recordings to the packaged checkpoint.
#
#   sh training/uz-ru-en.sh SPEECH ENCODER WHISPER [RUNS]
#
# SPEECH: Common Voice directories (uz/ ru/ en/ other/). ENCODER: whisper-base, or its
# encoder alone. WHISPER: the whole whisper-base, the teacher. Needs espeak-ng. The seeds
# are fixed; every step goes on where it was stopped.
set -eu
speech=$1 encoder=$2 whisper=$3 runs=${4:-runs}

langidd-train speak "$runs/espeak-near" --catalogues /usr/share/locale --per-language 350 \
    --languages uz,ru,en,az,kk,ky,tr,tt,tk,ug,ba
langidd-train speak "$runs/espeak-far" --catalogues /usr/share/locale --per-language 50 \
    --languages fa,uk,be,bg,sr,de,nl,sv,fr,es,it,pt,ro,pl,cs,fi,hu,hi,ar,ka,hy,el,id,vi,ko,zh,ur,he,et,lt
langidd-train prepare uz-ru-en --runs "$runs" --data "$speech" \
    --data "$runs/espeak-near" --data "$runs/espeak-far"
langidd-train teach uz-ru-en --runs "$runs" --checkpoint "$whisper"
langidd-train train uz-ru-en --runs "$runs" --checkpoint "$encoder" --preset teacher --seed 1
langidd-train calibrate --model "$runs/uz-ru-en/model" --data "$speech"
