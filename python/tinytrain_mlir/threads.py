"""The threads of a program that runs on several cores: a pool, and a barrier between kernels.

All threads run the same function at once; each computes its share of every kernel's results, so
that which thread computes what, and every result, is decided at compile time. The functions below
are in the LLVM dialect, and call only what POSIX threads and semaphores give on 64-bit Linux.
"""

from __future__ import annotations

MAX_THREADS = 256

# Of glibc and musl on 64-bit Linux.
_SEMAPHORE_BYTES = 32
# Turns of the barrier's loop before a thread lets others run: its core may be theirs.
_SPINS = 1000


def thread_functions(name: str, threads: int, *, has_step: bool) -> str:
    """MLIR text: `barrier`, and `<name>_start`, `<name>_stop`, `<name>_infer`, `<name>_step`.

    The module has the functions `infer` and `step`, which take the number of a thread last.
    `has_step`: there is a `step`.

    Between calls the workers wait for their semaphores. A call stores which function it is and its
    arguments, wakes them, and is thread 0 itself.
    """
    workers = threads - 1
    jobs = [("infer", 2)] + ([("step", 3)] if has_step else [])
    return "\n".join(
        [
            _declarations(workers),
            *(f"llvm.func @{job}({', '.join(['!llvm.ptr'] * count)}, i64)" for job, count in jobs),
            _barrier(threads),
            _worker(jobs),
            _START_AND_STOP.format(name=name, workers=workers, semaphore=_SEMAPHORE_BYTES),
            *(_call(name, number, *job) for number, job in enumerate(jobs)),
        ]
    )


def _declarations(workers: int) -> str:
    def zeros(symbol: str, align: int, type_: str) -> str:
        return (
            f'llvm.mlir.global internal @"{symbol}"() {{alignment = {align} : i64}} : {type_} {{\n'
            f"  %0 = llvm.mlir.zero : {type_}\n  llvm.return %0 : {type_}\n}}"
        )

    return "\n".join(
        [
            "llvm.func @pthread_create(!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> i32",
            "llvm.func @pthread_join(i64, !llvm.ptr) -> i32",
            "llvm.func @sched_yield() -> i32",
            "llvm.func @sem_init(!llvm.ptr, i32, i32) -> i32",
            "llvm.func @sem_post(!llvm.ptr) -> i32",
            "llvm.func @sem_wait(!llvm.ptr) -> i32",
            zeros("pool.threads", 8, f"!llvm.array<{workers} x i64>"),
            zeros("pool.wake", 16, f"!llvm.array<{workers * _SEMAPHORE_BYTES} x i8>"),
            zeros("pool.started", 8, "i64"),
            # The job's number, and its arguments.
            zeros("pool.job", 8, "!llvm.array<4 x i64>"),
            # On cache lines of their own: one is written by all threads, one is read by all.
            zeros("barrier.arrived", 64, "!llvm.array<64 x i8>"),
            zeros("barrier.turn", 64, "!llvm.array<64 x i8>"),
        ]
    )


def _barrier(threads: int) -> str:
    """The last thread to arrive starts the next turn, for which the others wait."""
    return f"""
llvm.func internal @barrier() attributes {{no_unwind, no_inline}} {{
  %arrived = llvm.mlir.addressof @"barrier.arrived" : !llvm.ptr
  %turn = llvm.mlir.addressof @"barrier.turn" : !llvm.ptr
  %0 = llvm.mlir.constant(0 : i32) : i32
  %1 = llvm.mlir.constant(1 : i32) : i32
  %spins = llvm.mlir.constant({_SPINS} : i32) : i32
  %others = llvm.mlir.constant({threads - 1} : i32) : i32
  %old = llvm.load %turn atomic acquire {{alignment = 4 : i64}} : !llvm.ptr -> i32
  %count = llvm.atomicrmw add %arrived, %1 acq_rel : !llvm.ptr, i32
  %last = llvm.icmp "eq" %count, %others : i32
  llvm.cond_br %last, ^release, ^wait(%0 : i32)
^release:
  llvm.store %0, %arrived atomic monotonic {{alignment = 4 : i64}} : i32, !llvm.ptr
  %next = llvm.add %old, %1 : i32
  llvm.store %next, %turn atomic release {{alignment = 4 : i64}} : i32, !llvm.ptr
  llvm.return
^wait(%i: i32):
  %now = llvm.load %turn atomic acquire {{alignment = 4 : i64}} : !llvm.ptr -> i32
  %same = llvm.icmp "eq" %now, %old : i32
  llvm.cond_br %same, ^spin, ^end
^spin:
  %more = llvm.add %i, %1 : i32
  %long = llvm.icmp "ugt" %more, %spins : i32
  llvm.cond_br %long, ^yield, ^wait(%more : i32)
^yield:
  %r = llvm.call @sched_yield() : () -> i32
  llvm.br ^wait(%more : i32)
^end:
  llvm.return
}}"""


def _arguments(count: int) -> str:
    """Loads a job's arguments as `%a0` and so on."""
    return "\n".join(
        f"  %p{i} = llvm.getelementptr %job[{8 * (i + 1)}] : (!llvm.ptr) -> !llvm.ptr, i8\n"
        f"  %a{i} = llvm.load %p{i} : !llvm.ptr -> !llvm.ptr"
        for i in range(count)
    )


def _types(count: int) -> str:
    return ", ".join(["!llvm.ptr"] * count)


def _worker(jobs: list[tuple[str, int]]) -> str:
    """Waits for jobs until one has a number that no function has."""
    cases = ", ".join(f"{number}: ^{job}" for number, (job, _) in enumerate(jobs))
    blocks = "\n".join(
        f"""^{job}:
  llvm.call @{job}({", ".join(f"%a{i}" for i in range(count))}, %thread) : ({_types(count)}, i64) -> ()
  llvm.br ^done"""
        for job, count in jobs
    )
    return f"""
llvm.func internal @pool.worker(%number: !llvm.ptr) -> !llvm.ptr attributes {{no_unwind}} {{
  %job = llvm.mlir.addressof @pool.job : !llvm.ptr
  %wake = llvm.mlir.addressof @pool.wake : !llvm.ptr
  %0 = llvm.mlir.constant(0 : i32) : i32
  %1 = llvm.mlir.constant(1 : i64) : i64
  %bytes = llvm.mlir.constant({_SEMAPHORE_BYTES} : i64) : i64
  %thread = llvm.ptrtoint %number : !llvm.ptr to i64
  %worker = llvm.sub %thread, %1 : i64
  %offset = llvm.mul %worker, %bytes : i64
  %mine = llvm.getelementptr %wake[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  llvm.br ^wait
^wait:
  %r = llvm.call @sem_wait(%mine) : (!llvm.ptr) -> i32
  %awake = llvm.icmp "eq" %r, %0 : i32
  llvm.cond_br %awake, ^run, ^wait
^run:
  %function = llvm.load %job : !llvm.ptr -> i64
{_arguments(max(count for _, count in jobs))}
  llvm.switch %function : i64, ^end [{cases}]
{blocks}
^done:
  llvm.call @barrier() : () -> ()
  llvm.br ^wait
^end:
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.return %null : !llvm.ptr
}}"""


_START_AND_STOP = """
llvm.func internal @pool.run(%function: i64) attributes {{no_unwind, no_inline}} {{
  %job = llvm.mlir.addressof @pool.job : !llvm.ptr
  %wake = llvm.mlir.addressof @pool.wake : !llvm.ptr
  %count = llvm.mlir.addressof @pool.started : !llvm.ptr
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  %bytes = llvm.mlir.constant({semaphore} : i64) : i64
  llvm.store %function, %job : i64, !llvm.ptr
  %started = llvm.load %count : !llvm.ptr -> i64
  llvm.br ^next(%0 : i64)
^next(%i: i64):
  %more = llvm.icmp "ult" %i, %started : i64
  llvm.cond_br %more, ^post, ^end
^post:
  %offset = llvm.mul %i, %bytes : i64
  %theirs = llvm.getelementptr %wake[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %r = llvm.call @sem_post(%theirs) : (!llvm.ptr) -> i32
  %next = llvm.add %i, %1 : i64
  llvm.br ^next(%next : i64)
^end:
  llvm.return
}}
llvm.func @{name}_start() -> i32 attributes {{no_unwind}} {{
  %threads = llvm.mlir.addressof @pool.threads : !llvm.ptr
  %wake = llvm.mlir.addressof @pool.wake : !llvm.ptr
  %count = llvm.mlir.addressof @pool.started : !llvm.ptr
  %function = llvm.mlir.addressof @pool.worker : !llvm.ptr
  %null = llvm.mlir.zero : !llvm.ptr
  %none = llvm.mlir.constant(0 : i32) : i32
  %1 = llvm.mlir.constant(1 : i64) : i64
  %8 = llvm.mlir.constant(8 : i64) : i64
  %bytes = llvm.mlir.constant({semaphore} : i64) : i64
  %workers = llvm.mlir.constant({workers} : i64) : i64
  llvm.br ^next
^next:
  %i = llvm.load %count : !llvm.ptr -> i64
  %more = llvm.icmp "ult" %i, %workers : i64
  llvm.cond_br %more, ^create, ^end
^create:
  %offset = llvm.mul %i, %bytes : i64
  %theirs = llvm.getelementptr %wake[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %s = llvm.call @sem_init(%theirs, %none, %none) : (!llvm.ptr, i32, i32) -> i32
  %place = llvm.mul %i, %8 : i64
  %handle = llvm.getelementptr %threads[%place] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %number = llvm.add %i, %1 : i64
  %argument = llvm.inttoptr %number : i64 to !llvm.ptr
  %r = llvm.call @pthread_create(%handle, %null, %function, %argument)
    : (!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> i32
  %created = llvm.icmp "eq" %r, %none : i32
  llvm.cond_br %created, ^count, ^fail
^count:
  llvm.store %number, %count : i64, !llvm.ptr
  llvm.br ^next
^fail:
  llvm.call @{name}_stop() : () -> ()
  llvm.return %r : i32
^end:
  llvm.return %none : i32
}}
llvm.func @{name}_stop() attributes {{no_unwind}} {{
  %threads = llvm.mlir.addressof @pool.threads : !llvm.ptr
  %count = llvm.mlir.addressof @pool.started : !llvm.ptr
  %null = llvm.mlir.zero : !llvm.ptr
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  %8 = llvm.mlir.constant(8 : i64) : i64
  %stop = llvm.mlir.constant(-1 : i64) : i64
  llvm.call @pool.run(%stop) : (i64) -> ()
  llvm.br ^next
^next:
  %left = llvm.load %count : !llvm.ptr -> i64
  %more = llvm.icmp "ne" %left, %0 : i64
  llvm.cond_br %more, ^join, ^end
^join:
  %i = llvm.sub %left, %1 : i64
  %place = llvm.mul %i, %8 : i64
  %handle = llvm.getelementptr %threads[%place] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %thread = llvm.load %handle : !llvm.ptr -> i64
  %r = llvm.call @pthread_join(%thread, %null) : (i64, !llvm.ptr) -> i32
  llvm.store %i, %count : i64, !llvm.ptr
  llvm.br ^next
^end:
  llvm.return
}}"""


def _call(name: str, number: int, job: str, count: int) -> str:
    """The function that users call; without the other threads it traps rather than waits."""
    parameters = ", ".join(f"%a{i}: !llvm.ptr" for i in range(count))
    stores = "\n".join(
        f"  %p{i} = llvm.getelementptr %job[{8 * (i + 1)}] : (!llvm.ptr) -> !llvm.ptr, i8\n"
        f"  llvm.store %a{i}, %p{i} : !llvm.ptr, !llvm.ptr"
        for i in range(count)
    )
    return f"""
llvm.func @{name}_{job}({parameters}) attributes {{no_unwind}} {{
  %job = llvm.mlir.addressof @pool.job : !llvm.ptr
  %count = llvm.mlir.addressof @pool.started : !llvm.ptr
  %first = llvm.mlir.constant(0 : i64) : i64
  %number = llvm.mlir.constant({number} : i64) : i64
  %started = llvm.load %count : !llvm.ptr -> i64
  %none = llvm.icmp "eq" %started, %first : i64
  llvm.cond_br %none, ^trap, ^run
^trap:
  "llvm.intr.trap"() : () -> ()
  llvm.unreachable
^run:
{stores}
  llvm.call @pool.run(%number) : (i64) -> ()
  llvm.call @{job}({", ".join(f"%a{i}" for i in range(count))}, %first) : ({_types(count)}, i64) -> ()
  llvm.call @barrier() : () -> ()
  llvm.return
}}"""
