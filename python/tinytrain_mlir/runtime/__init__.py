"""Running programs: in this process, or in an emulator."""
