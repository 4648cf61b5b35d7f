# A boot record that reads sectors through the BIOS and prints them, so that the firmware's own driver is what is tested.
#
# Assembled into boot-record.bin, which is what the program ships:
#   cc -m32 -c boot-record.S -o boot-record.o && ld -m elf_i386 -Ttext 0x7c00 --oformat binary boot-record.o -o boot-record.bin
#
# Prints through the firmware's debug port where there is one (it reads as 0e9h: QEMU hw/char/debugcon.c), else through
# the first serial port. Interface: IBM/MS INT 13 extensions, functions 42h and 48h (EDD-3, T13 1572D).
#
#   slotwise boot record
#   read 00000001
#   ... the sector, byte for byte
#   slotwise boot record end

.intel_syntax noprefix
.code16
.globl _start
_start:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        sti
        cld
        jmp     0, offset set_cs        # some firmware starts here as 07c0:0000
set_cs:
        mov     [drive], dl
        mov     dx, 0x402
        in      al, dx
        cmp     al, 0xe9
        sete    [has_port]
        mov     si, offset greeting
        call    print
        # How many sectors there are: the last one is read too.
        mov     ah, 0x48
        mov     dl, [drive]
        mov     si, offset parameters
        int     0x13
        jc      3f
        mov     eax, [parameters + 16]
        dec     eax
        mov     [last], eax
3:      mov     di, offset table
1:      mov     ebx, [di]
        mov     si, offset word_read
        call    print
        call    print_ebx
        mov     [packet_lba], ebx
        mov     ah, 0x42
        mov     dl, [drive]
        mov     si, offset packet
        int     0x13
        mov     cx, 512
        mov     si, 0x8000
        jnc     2f
        mov     cx, 6                   # the length of that text
        mov     si, offset error_text
2:      lodsb
        call    put
        loop    2b
        add     di, 4
        cmp     di, offset table_end
        jb      1b
        mov     si, offset farewell
        call    print
4:      hlt
        jmp     4b

# Prints the text at SI up to its NUL.
print:  lodsb
        test    al, al
        jz      5f
        call    put
        jmp     print
5:      ret

# Prints EBX as eight hexadecimal digits and a line feed.
print_ebx:
        mov     cx, 8
6:      rol     ebx, 4
        mov     al, bl
        and     al, 15
        add     al, '0'
        cmp     al, '9'
        jbe     7f
        add     al, 'a' - '9' - 1
7:      call    put
        loop    6b
        mov     al, 10
# Prints AL.
put:    push    dx
        push    ax
        mov     dx, 0x402
        cmp     byte ptr [has_port], 0
        jne     9f
        mov     dx, 0x3fd
8:      in      al, dx
        test    al, 0x20                # the transmitter's register is empty
        jz      8b
        mov     dx, 0x3f8
9:      pop     ax
        out     dx, al
        pop     dx
        ret

greeting:       .asciz  "\nslotwise boot record\n"
farewell:       .asciz  "slotwise boot record end\n"
word_read:      .asciz  "read "
error_text:     .ascii  "error\n"
drive:          .byte   0
has_port:       .byte   0
# Disk address packet: size, blocks, buffer, LBA.
packet:         .byte   16, 0
                .word   1, 0x8000, 0
packet_lba:     .quad   0
# The sectors to read; those that `crate::marks` has marked.
table:          .long   1, 63, 2048, 65535
last:           .long   1
table_end:
# Result of function 48h: its size, then room for it.
parameters:     .word  30
                .fill   28
                .org    446
                # One partition over the disk, active: some firmware wants to see one.
                .byte   0x80, 0, 2, 0, 0xda, 0xfe, 0xff, 0xff
                .long   1, 0x7fffffff
                .fill   48
                .byte   0x55, 0xaa
