#!/bin/sh
# Installs what building and testing Skywave need on Debian, and nothing that is there already.
# Safe to run again and again; says nothing when there is nothing to do.
set -eu

# libraries to build with, real XMPP servers to test with, a name server for them, Python for the clients
build_packages="zlib1g-dev libssl-dev libexpat1-dev libsqlite3-dev"
test_packages="prosody lua-unbound ejabberd dnsmasq-base openssl python3 python3-venv"
slixmpp_version=1.17.0

cd "$(dirname "$0")/../.."
lab="$PWD/.lab"

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# try COUNT SECONDS COMMAND…: runs a command that may fail for a passing reason (mirror, lock, network)
try() {
    attempts=$1
    pause=$2
    shift 2
    attempt=1
    until "$@"; do
        [ "$attempt" -lt "$attempts" ] || return 1
        say "attempt $attempt of $attempts failed, trying again in $pause s: $1 $2"
        sleep "$pause"
        attempt=$((attempt + 1))
    done
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $build_packages $test_packages; do
        installed "$package" || missing="$missing $package"
    done
else
    say "this is not a Debian system: expecting what these packages contain to be there: $build_packages $test_packages"
fi

if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        fail "these Debian packages are missing, and only root can install them. Please run once:

    sudo apt-get update && sudo apt-get install --no-install-recommends$missing

and make sure that the servers which come with them do not start by themselves, if that is not wanted:

    sudo systemctl disable --now prosody ejabberd"
    fi
    say "installing$missing"

    # Debian starts a server as soon as it is installed. Here the servers only serve the tests, each on its own
    # loopback address, so the policy file (asked by every maintainer script) says no while apt runs.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 1' INT TERM HUP
    fi

    export DEBIAN_FRONTEND=noninteractive
    options="-q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0"
    log=$(mktemp)
    quietly() { "$@" >"$log" 2>&1 || { tail -n 15 "$log" >&2 && return 1; }; }
    # shellcheck disable=SC2086 # options and package names are lists of words
    install_packages() { quietly apt-get $options install --no-install-recommends $missing; }
    # shellcheck disable=SC2086
    update_lists() { quietly apt-get $options update; }

    # The lists of a fresh machine are empty and those of an old one name files that are gone; so refresh them when
    # there are none, and again when the installation fails.
    if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ]; then
        try 3 10 update_lists || fail "apt-get update failed"
    fi
    refresh_and_install() { update_lists && install_packages; }
    install_packages || try 3 15 refresh_and_install || fail "could not install$missing"
    rm -f "$log"

    # and not at the next boot either
    if [ -d /run/systemd/system ]; then
        for service in prosody ejabberd; do
            case " $missing " in
            *" $service "*) systemctl disable --now "$service" >/dev/null 2>&1 || true ;;
            esac
        done
    fi
fi

# The XMPP client library, in its own virtual environment. Debian's Python comes first: it is the one that
# python3-venv belongs to; another one on the path serves as well.
stamp="$lab/venv/slixmpp-$slixmpp_version"
if [ ! -e "$stamp" ]; then
    python=""
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "no Python 3.11 or later with the venv module was found"
    say "making .lab/venv with slixmpp $slixmpp_version"
    rm -rf "$lab/venv"
    mkdir -p "$lab"
    "$python" -m venv "$lab/venv"
    try 3 10 "$lab/venv/bin/python" -m pip install --quiet --disable-pip-version-check "slixmpp==$slixmpp_version" ||
        fail "could not install slixmpp $slixmpp_version from the Python package index"
    touch "$stamp"
fi
