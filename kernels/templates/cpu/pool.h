// pool.h: the threads that replay launches. A generated source includes it once.
//
// All threads run the same loop and no one leads: a step's blocks are claimed from `claim`, whoever finishes a step's last block
// publishes the next step, and a thread that lost its core holds up nothing but the blocks it has claimed. Claims are guided: a
// share of what is left (long streams, few atomics), then ever fewer down to one block.
//
// claim = epoch << 32 | next block. An epoch is one step of one replay and never comes again (but for wrapping after 2^32 steps);
// next block = idle says that there is no step. A step's facts lie in slot[epoch & 1]: a slot is overwritten only two epochs
// later, so a thread whose compare-and-swap on claim succeeds has read the facts of that epoch, and until it succeeds it touches
// nothing of the caller's. Ordering: whoever ends blocks releases them into `done`; the last acquires all of them and releases
// the next claim, which everyone acquires.
#pragma once
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "vec.h"

namespace hipc {

struct Pool {
  static constexpr uint32_t idle = 0xffffffffu, spins = 2000, yields = 20;

  struct Slot {
    std::atomic<hipc_kernel *> fn;
    std::atomic<void *const *> arg;
    std::atomic<uint32_t> grid;
  };
  alignas(64) std::atomic<uint64_t> claim{idle};
  alignas(64) std::atomic<uint32_t> done{0};
  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<bool> closing{false};
  alignas(64) Slot slot[2];

  // Written by hipc_replay while idle, then only read or written by whoever publishes a step.
  const hipc_launch *list = nullptr;
  long n = 0, at = 0, *ns = nullptr, since = 0;

  int threads = 1, workers = 0;
  pthread_t *worker = nullptr;

  static long clock() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
  }
  uint32_t *epoch_word() { return (uint32_t *)&claim + 1; }  // the upper half: little-endian
  void wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // against await(): either it sees the new epoch or we see a sleeper
    if (sleepers.load(std::memory_order_relaxed) > 0) syscall(SYS_futex, epoch_word(), FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
  }

  // Makes the next step that has blocks the current one, or idle after the last.
  void publish(uint32_t epoch) {
    long now = ns ? clock() : 0;
    if (ns && at > 0) ns[at - 1] = now - since;
    since = now;
    while (at < n && list[at].grid <= 0) {
      if (ns) ns[at] = 0;
      at++;
    }
    epoch++;
    if (at == n) {
      claim.store((uint64_t)epoch << 32 | idle, std::memory_order_release);
    } else {
      Slot &s = slot[epoch & 1];
      s.fn.store(list[at].fn, std::memory_order_relaxed);
      s.arg.store(list[at].arg, std::memory_order_relaxed);
      s.grid.store((uint32_t)list[at].grid, std::memory_order_relaxed);
      at++;
      claim.store((uint64_t)epoch << 32, std::memory_order_release);
    }
    wake();
  }

  // Waits until the epoch isn't `epoch`: spins some tens of microseconds, lets others run, sleeps.
  void await(uint32_t epoch) {
    auto changed = [&] { return (uint32_t)(claim.load(std::memory_order_acquire) >> 32) != epoch; };
    for (uint32_t i = 0; i < spins; i++) {
      if (changed()) return;
      pause();
    }
    for (uint32_t i = 0; i < yields; i++) {
      if (changed()) return;
      sched_yield();
    }
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    while (!changed()) syscall(SYS_futex, epoch_word(), FUTEX_WAIT_PRIVATE, epoch, nullptr, nullptr, 0);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }

  // Runs blocks until there is no step.
  void work() {
    for (;;) {
      uint64_t c = claim.load(std::memory_order_acquire);
      uint32_t epoch = (uint32_t)(c >> 32), block = (uint32_t)c;
      if (block == idle) return;
      Slot &s = slot[epoch & 1];
      hipc_kernel *fn = s.fn.load(std::memory_order_relaxed);
      void *const *arg = s.arg.load(std::memory_order_relaxed);
      uint32_t grid = s.grid.load(std::memory_order_relaxed);
      if (block >= grid) {
        await(epoch);
        continue;
      }
      uint32_t take = (grid - block) / (uint32_t)(2 * threads);
      if (take == 0) take = 1;
      if (!claim.compare_exchange_strong(c, c + take, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      for (uint32_t i = 0; i < take; i++) fn(arg, (int)(block + i));
      if (done.fetch_add(take, std::memory_order_acq_rel) + take == grid) {
        done.store(0, std::memory_order_relaxed);
        publish(epoch);
      }
    }
  }

  int replay(const hipc_launch *l, long count, long *times) {
    list = l, n = count, at = 0, ns = times, since = 0;
    if (threads == 1) {
      for (long i = 0; i < n; i++) {
        long start = ns ? clock() : 0;
        for (long b = 0; b < l[i].grid; b++) l[i].fn(l[i].arg, (int)b);
        if (ns) ns[i] = clock() - start;
      }
      return 0;
    }
    publish((uint32_t)(claim.load(std::memory_order_relaxed) >> 32));
    work();
    return 0;
  }

  static void *run(void *p) {
    Pool *pool = (Pool *)p;
    while (!pool->closing.load(std::memory_order_acquire)) {
      uint64_t c = pool->claim.load(std::memory_order_acquire);
      if ((uint32_t)c == idle) pool->await((uint32_t)(c >> 32));
      else pool->work();
    }
    return nullptr;
  }
};

}  // namespace hipc

extern "C" void hipc_pool_close(void *p) {
  hipc::Pool *pool = (hipc::Pool *)p;
  if (!pool) return;
  pool->closing.store(true, std::memory_order_release);
  uint32_t epoch = (uint32_t)(pool->claim.load(std::memory_order_relaxed) >> 32) + 1;
  pool->claim.store((uint64_t)epoch << 32 | hipc::Pool::idle, std::memory_order_release);
  pool->wake();
  for (int i = 0; i < pool->workers; i++) pthread_join(pool->worker[i], nullptr);
  free(pool->worker);
  pool->~Pool();
  free(pool);
}

extern "C" void *hipc_pool_open(int threads) {
  if (threads < 1) return nullptr;
  void *room = aligned_alloc(64, (sizeof(hipc::Pool) + 63) / 64 * 64);
  if (!room) return nullptr;
  hipc::Pool *pool = new (room) hipc::Pool;
  pool->threads = threads;
  pool->worker = (pthread_t *)calloc((size_t)threads, sizeof(pthread_t));
  // The host's signals (a Go program preempts with them) are none of a worker's.
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 8 << 20);  // kernels keep their tiles on the stack
  bool good = pool->worker != nullptr;
  while (good && pool->workers < threads - 1) {
    good = pthread_create(&pool->worker[pool->workers], &attr, hipc::Pool::run, pool) == 0;
    pool->workers += good;
  }
  pthread_attr_destroy(&attr);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (good) return pool;
  hipc_pool_close(pool);
  return nullptr;
}

extern "C" int hipc_replay(void *pool, const hipc_launch *l, long n) { return ((hipc::Pool *)pool)->replay(l, n, nullptr); }
extern "C" int hipc_time(void *pool, const hipc_launch *l, long n, long *ns) { return ((hipc::Pool *)pool)->replay(l, n, ns); }
