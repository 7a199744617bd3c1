// Entered by PSCI CPU_ON at EL2 or EL1, MMU and caches off, nothing else known.

// SCTLR_EL1: the bits that are 1 in every v8.0 core, and A: unaligned accesses fault on every machine alike.
.equ SCTLR, 0x30d00802
// SPSR: EL1 with its own stack pointer, all exceptions masked.
.equ SPSR, 0x3c5
// HCR_EL2.RW: EL1 is 64-bit; no traps.
.equ HCR, 1 << 31

.section .text.boot, "ax"
.global _start
_start:
    msr daifset, #15
    mrs x0, CurrentEL
    cmp x0, #(2 << 2)
    cset w19, eq
    ldr x0, =SCTLR
    msr sctlr_el1, x0
    isb
    cbz w19, at_el1

    ldr x0, =HCR
    msr hcr_el2, x0
    isb
    // EL1 may use the counters; the virtual one shows the physical one.
    mov x0, #3
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    // No traps of floating point (its bits that are 1 in every core only) and none of old system registers.
    mov x0, #0x33ff
    msr cptr_el2, x0
    msr hstr_el2, xzr
    // GIC CPU interface through system registers, for EL1 too.
    .if {gicv3}
    mrs x0, S3_4_C12_C9_5
    mov x1, #9
    orr x0, x0, x1
    msr S3_4_C12_C9_5, x0
    .endif
    ldr x0, =SPSR
    msr spsr_el2, x0
    adr x0, at_el1
    msr elr_el2, x0
    isb
    eret

at_el1:
    msr spsel, #1
    ldr x0, =__stack_top
    mov sp, x0
    ldr x0, =vectors
    msr vbar_el1, x0
    isb
    ldr x0, =__bss_start
    ldr x1, =__bss_end
1:  cmp x0, x1
    b.hs 2f
    stp xzr, xzr, [x0], #16
    b 1b
2:  mov w0, w19
    b {start}
