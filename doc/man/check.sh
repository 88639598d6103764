#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Manual pages render without a warning and say what the programs have. usage: check.sh PAGE...
set -euo pipefail
[ -n "$(command -v groff)" ] || { echo "skipped: groff is not installed"; exit 77; }
fail() { echo "failed: $*" >&2; exit 1; }

for page in "$@"; do
	out=$(groff -man -ww -z -Tutf8 -rLL=100n "$page" 2>&1)
	[ -z "$out" ] || fail "$page: $out"
	grep -q '@[A-Z]' "$page" && fail "$page: something was not replaced"
	text=$(groff -man -Tascii -P-cbou "$page")
	for section in NAME SYNOPSIS DESCRIPTION 'SEE ALSO'; do
		grep -q "^$section" <<<"$text" || fail "$page: no section $section"
	done
	case $page in
	*/phoenix-cli.1)
		for word in 'peer add' 'app rule_set' filter.uid --keep-going 'peer del rack1' 130; do
			grep -qF -- "$word" <<<"$text" || fail "$page: no $word"
		done
		;;
	*/phoenix-dataplane.8) grep -qF -- --standalone <<<"$text" || fail "$page: no option" ;;
	*/libphoenix.3) [ "$(grep -cE '^ +[a-z].*phx_[a-z_]+\(' <<<"$text")" -gt 25 ] || fail "$page: few functions" ;;
	esac
done
echo passed
