// What this machine can do at most: fused multiply-adds in registers, and reading memory. Compiled by peak.py when it runs.
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define CHAINS 12  // enough to hide the latency of two units, few enough for 16 registers

typedef float Vector __attribute__((vector_size(BYTES)));

int fma_chains(void) { return CHAINS; }

int fma_lanes(void) { return CHAINS * BYTES / (int)sizeof(float); }

// Run `steps` multiply-adds in each lane of each chain; what it returns keeps the compiler from leaving them out.
float fma_loop(long steps, float factor, float term) {
  Vector sum[CHAINS], x = factor - (Vector){0}, y = term - (Vector){0};
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; ++i) sum[i] = y * (float)i;
  for (long step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) sum[i] = sum[i] * x + y;
  }
  Vector all = sum[0];
#pragma GCC unroll 12
  for (int i = 1; i < CHAINS; ++i) all += sum[i];
  return all[0];
}

// Read `vectors` vectors `rounds` times, in as many chains.
float read_loop(const float *data, long vectors, long rounds) {
  Vector sum[CHAINS] = {0};
  const Vector *from = (const Vector *)data;
  for (long round = 0; round < rounds; ++round) {
    for (long at = 0; at + CHAINS <= vectors; at += CHAINS) {
#pragma GCC unroll 12
      for (int i = 0; i < CHAINS; ++i) sum[i] += from[at + i];
    }
    __asm__ volatile("" ::: "memory");
  }
  Vector all = sum[0];
  for (int i = 1; i < CHAINS; ++i) all += sum[i];
  return all[0];
}
