/* Reset code of a Cortex-M with an FPU: no C library is needed. */
#include "semihosting.h"

#include <stdint.h>

extern uint32_t __stack_top;
extern uint32_t __data_start, __data_end, __data_load;
extern uint32_t __bss_start, __bss_end;

int main(void);
_Noreturn void Reset_Handler(void);

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_FPU_FULL_ACCESS (0xFu << 20)

_Noreturn void Reset_Handler(void) {
  CPACR |= CPACR_FPU_FULL_ACCESS;
  __asm__ volatile("dsb\n\tisb" ::: "memory");

  const uint32_t *from = &__data_load;
  for (uint32_t *to = &__data_start; to < &__data_end;)
    *to++ = *from++;
  for (uint32_t *to = &__bss_start; to < &__bss_end;)
    *to++ = 0;
  semihosting_exit(main());
}

_Noreturn static void Fault_Handler(void) {
  semihosting_print("fault\n");
  semihosting_exit(1);
}

struct VectorTable {
  uint32_t *stack;
  void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct VectorTable vectors = {
    &__stack_top,
    {
        Reset_Handler,
        Fault_Handler, /* NMI */
        Fault_Handler, /* HardFault */
        Fault_Handler, /* MemManage */
        Fault_Handler, /* BusFault */
        Fault_Handler, /* UsageFault */
        Fault_Handler, /* SecureFault, on Armv8-M */
        0,
        0,
        0,
        Fault_Handler, /* SVCall */
        Fault_Handler, /* DebugMonitor */
        0,
        Fault_Handler, /* PendSV */
        Fault_Handler, /* SysTick */
    },
};
