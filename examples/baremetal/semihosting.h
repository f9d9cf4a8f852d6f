/* Text output and program end through the debugger (Arm semihosting). */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

void semihosting_print(const char *text);
_Noreturn void semihosting_exit(int status);

/* Prints a number with `decimals` (0 to 6) digits behind the point. */
void semihosting_print_float(float value, int decimals);
void semihosting_print_int(int32_t value);

#endif
