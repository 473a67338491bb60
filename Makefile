# The same commands as scripts/dev.py; arguments go in ARGS, as in: make test ARGS="-q tests/test_house.py"
PYTHON ?= python3

.PHONY: setup train test lint types check bench emulator
setup train test lint types check bench emulator:
	@$(PYTHON) scripts/dev.py $@ $(ARGS)
