#!/bin/sh
# Prints the path of a Chromium that tests can drive: the one that CHROMIUM names, or one that is installed.
set -eu
if [ -n "${CHROMIUM:-}" ]; then
	echo "$CHROMIUM"
	exit 0
fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
	if command -v "$name"; then
		exit 0
	fi
done
for path in "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
	if [ -x "$path" ]; then
		echo "$path"
		exit 0
	fi
done
echo 'no Chromium is installed: install one (apt-get install chromium), or name one with CHROMIUM' >&2
exit 1
