#include "semihosting.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20 };
enum { APPLICATION_EXIT = 0x20026 };

static int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void semihosting_print(const char *text) { semihosting(SYS_WRITE0, text); }

_Noreturn void semihosting_exit(int status) {
  const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
  for (;;)
    semihosting(SYS_EXIT_EXTENDED, block);
}

void semihosting_print_int(int32_t value) {
  char text[12];
  char *digit = text + sizeof text - 1;
  uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
  *digit = '\0';
  do {
    *--digit = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0)
    *--digit = '-';
  semihosting_print(digit);
}

void semihosting_print_float(float value, int decimals) {
  if (value != value) {
    semihosting_print("nan");
    return;
  }
  uint32_t scale = 1;
  for (int i = 0; i < decimals; ++i)
    scale *= 10;
  if (value < 0.0f) {
    semihosting_print("-");
    value = -value;
  }
  if (value >= 2147483000.0f) {
    semihosting_print("inf");
    return;
  }
  uint32_t whole = (uint32_t)value;
  uint32_t part = (uint32_t)((value - (float)whole) * (float)scale + 0.5f);
  if (part == scale) {
    ++whole;
    part = 0;
  }
  semihosting_print_int((int32_t)whole);
  if (decimals == 0)
    return;
  semihosting_print(".");
  for (uint32_t unit = scale / 10; unit > 1 && part < unit; unit /= 10)
    semihosting_print("0");
  semihosting_print_int((int32_t)part);
}
