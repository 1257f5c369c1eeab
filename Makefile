# Skywave: everything a newcomer needs, on Debian 12 with Swift, git and make.
#
#   make test             set-up, build, unit tests, integration tests with real servers
#   make demo             two servers, two bridges, a conversation; KEEP=1 leaves it running, make demo-stop ends that;
#                         LINK=hf-skywave-poor-1200L over two STANAG 5066 nodes on that radio link of sim/links
#   make build            release build of the daemon
#   make soak-real        real servers and bridges, killed and cut under load; ROUNDS=100, SEED=1, MODE=resend|bounce|off|radio|radio-xep
#   make bench            measurements
#   make soak             whole sites through seeded faults in virtual time, SEEDS of them
#   make fuzz             libFuzzer on the parsers, FUZZ_SECONDS each
#   make test-sanitized   unit tests under the address and the thread sanitizer
#   make setup            only install what is missing
#   make clean            remove everything that was built

SHELL := /bin/sh
PYTHON := .lab/venv/bin/python
FUZZ_SECONDS ?= 60
SEEDS ?= 50000

.DEFAULT_GOAL := build
.PHONY: setup build build-sim test demo demo-stop soak soak-real bench fuzz test-sanitized clean

setup:
	@Tests/Lab/setup.sh

build: setup
	swift build -c release --product skywave

build-sim: setup
	swift build -c release --product skywave-sim

test:
	@Tests/Lab/test.sh

demo: build $(if $(LINK),build-sim)
	@$(PYTHON) Tests/Lab/demo.py --bridge "$$(swift build -c release --show-bin-path)/skywave" $(if $(KEEP),--keep) \
		$(if $(LINK),--link $(LINK) $(if $(SPEED),--speed $(SPEED)))

demo-stop:
	@$(PYTHON) Tests/Lab/demo.py --stop

ROUNDS ?= 100
SEED ?= 1

soak-real: build build-sim
	@$(PYTHON) Tests/Lab/soak_real.py --bridge "$$(swift build -c release --show-bin-path)/skywave" \
		--rounds $(ROUNDS) --seed $(SEED) $(if $(MODE),--mode $(MODE))

bench: setup
	@Tests/Lab/bench.sh

soak: build-sim
	@"$$(swift build -c release --show-bin-path)/skywave-sim" soak --seeds $(SEEDS)

fuzz: setup
	@Tests/Lab/fuzz.sh $(FUZZ_SECONDS)

test-sanitized: setup
	@Tests/Lab/test-sanitized.sh $(SANITIZERS)

clean:
	-@[ ! -e .lab/demo/processes.json ] || $(PYTHON) Tests/Lab/demo.py --stop
	rm -rf .build .lab
