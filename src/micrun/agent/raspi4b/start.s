// All cores begin here at EL3, MMU and caches off.

// SCR_EL3: EL2 and below are not secure and 64-bit, HVC works, SMC comes here; bits 4 and 5 are always 1.
.equ SCR, 1 << 10 | 1 << 8 | 0x30 | 1
// SPSR: EL2 with its own stack pointer, all exceptions masked.
.equ SPSR, 0x3c9
// SCTLR_EL2: the bits that are 1 in every v8.0 core.
.equ SCTLR, 0x30c50830
.equ STACK, 0x1000
// Exception class of an SMC by 64-bit code.
.equ EC_SMC, 0x17

.section .text.start, "ax"
.global _start
// The vectors are the beginning of the image, and the first of them, which is for exceptions on a stack that is not used
// here, is where cores begin.
_start:
vectors:
    b begin
    .balign 128
    .rept 7
    b lost_entry
    .balign 128
    .endr
    b smc_entry
    .balign 128
    .rept 7
    b lost_entry
    .balign 128
    .endr

begin:
    msr daifset, #15
    bl own_stack
    ldr x0, =vectors
    msr vbar_el3, x0
    msr cptr_el3, xzr
    isb
    mrs x0, mpidr_el1
    and w0, w0, #3
    cbz w0, 1f
    b {park}
1:  b {bridge}

// Each core has a stack of its own, empty again.
own_stack:
    mrs x9, mpidr_el1
    and x9, x9, #3
    mov x10, #STACK
    mul x9, x9, x10
    ldr x10, =stack_top
    sub x10, x10, x9
    mov sp, x10
    ret

.global enter
enter:
    msr elr_el3, x0
    bl own_stack
    ldr x0, =SCR
    msr scr_el3, x0
    isb
    ldr x0, =SPSR
    msr spsr_el3, x0
    ldr x0, =SCTLR
    msr sctlr_el2, x0
    // EL1 is 64-bit; EL2 decides on the rest.
    mov x0, #1 << 31
    msr hcr_el2, x0
    mov x0, #3
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mov x0, #0x33ff
    msr cptr_el2, x0
    isb
    mov x0, #0
    mov x1, #0
    mov x2, #0
    mov x3, #0
    mov x30, #0
    eret

// The calling convention lets a call change x0 to x17.
smc_entry:
    mrs x9, esr_el3
    lsr x9, x9, #26
    cmp x9, #EC_SMC
    b.ne lost_entry
    stp x18, x30, [sp, #-16]!
    mrs x2, mpidr_el1
    and w2, w2, #3
    bl {psci}
    ldp x18, x30, [sp], #16
    eret

lost_entry:
    bl own_stack
    mrs x0, mpidr_el1
    and w0, w0, #3
    b {lost}
