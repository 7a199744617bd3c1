// Sixteen vectors, 128 bytes each: only an interrupt taken on EL1's own stack comes back.

.section .text.vectors, "ax"
.balign 2048
.global vectors
vectors:
    .rept 5
    b fault_entry
    .balign 128
    .endr
    b interrupt_entry
    .balign 128
    .rept 10
    b fault_entry
    .balign 128
    .endr

// Saves all registers, in gdb's order: the debugger shows them. The handler does not let further interrupts in.
interrupt_entry:
    sub sp, sp, #272
    stp x0, x1, [sp, #0]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    add x1, sp, #272
    stp x30, x1, [sp, #240]
    mrs x0, elr_el1
    mrs x1, spsr_el1
    stp x0, x1, [sp, #256]
    mov x0, sp
    bl {interrupt}
    ldp x0, x1, [sp, #256]
    msr elr_el1, x0
    msr spsr_el1, x1
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldp x6, x7, [sp, #48]
    ldp x8, x9, [sp, #64]
    ldp x10, x11, [sp, #80]
    ldp x12, x13, [sp, #96]
    ldp x14, x15, [sp, #112]
    ldp x16, x17, [sp, #128]
    ldp x18, x19, [sp, #144]
    ldp x20, x21, [sp, #160]
    ldp x22, x23, [sp, #176]
    ldp x24, x25, [sp, #192]
    ldp x26, x27, [sp, #208]
    ldp x28, x29, [sp, #224]
    ldr x30, [sp, #240]
    ldp x0, x1, [sp]
    add sp, sp, #272
    eret

// The stack may be what broke: the handler has its own.
fault_entry:
    ldr x0, =__fault_stack_top
    mov sp, x0
    mrs x0, esr_el1
    mrs x1, elr_el1
    b {fault}
