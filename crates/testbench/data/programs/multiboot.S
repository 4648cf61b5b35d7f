# A kernel of a few hundred bytes that tells which functions are on the PCI bus: nothing but the processor, the machine's
# firmware and the bus is between it and the device.
#
# Assembled into multiboot.bin, which is what the program ships:
#   cc -m32 -c multiboot.S -o multiboot.o
#   ld -m elf_i386 -Ttext 0x100000 --oformat binary multiboot.o -o multiboot.bin
#
# Multiboot 0.6.96, 3.1 and 3.2: the header says where to load it (flag 16), so it needs no ELF; entered in protected
# mode without paging, interrupts off. Configuration space through mechanism #1 (PCI 3.0, 3.2.2.3.2).
# Prints to the first serial port:
#
#   slotwise multiboot
#   pci 00:02.0 1000:0012 class 010000
#   slotwise multiboot end

.intel_syntax noprefix
.code32
.text
.globl _start
                .align  4
header:         .long   0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
                .long   header, header, 0, 0, _start
_start:
        mov     esp, offset stack_top
        mov     esi, offset greeting
        call    print
        xor     ebp, ebp                # bus, device and function, as in bits 23 to 8 of the address
next:
        xor     ecx, ecx
        call    config
        cmp     ax, 0xffff
        je      absent
        mov     edi, eax
        mov     esi, offset word_pci
        call    print
        mov     eax, ebp
        shr     eax, 8
        mov     ecx, 2
        call    hex
        mov     al, ':'
        call    put
        mov     eax, ebp
        shr     eax, 3
        and     eax, 31
        mov     ecx, 2
        call    hex
        mov     al, '.'
        call    put
        mov     eax, ebp
        and     eax, 7
        mov     ecx, 1
        call    hex
        mov     al, ' '
        call    put
        mov     eax, edi
        mov     ecx, 4
        call    hex
        mov     al, ':'
        call    put
        mov     eax, edi
        shr     eax, 16
        mov     ecx, 4
        call    hex
        mov     esi, offset word_class
        call    print
        mov     ecx, 8
        call    config
        shr     eax, 8
        mov     ecx, 6
        call    hex
        mov     al, 10
        call    put
        # A device with one function may answer for all eight: the multi-function bit says (6.2.1).
        test    ebp, 7
        jnz     absent
        mov     ecx, 12
        call    config
        test    eax, 0x00800000
        jnz     absent
        add     ebp, 7
absent:
        inc     ebp
        cmp     ebp, 0x10000
        jb      next
        mov     esi, offset farewell
        call    print
1:      hlt
        jmp     1b

# Reads register ECX of function EBP into EAX.
config:
        mov     eax, ebp
        shl     eax, 8
        or      eax, ecx
        or      eax, 0x80000000
        mov     edx, 0xcf8
        out     dx, eax
        mov     edx, 0xcfc
        in      eax, dx
        ret

# Prints the ECX lowest digits of EAX.
hex:
        mov     ebx, eax
        mov     edx, 8
        sub     edx, ecx
        push    ecx
        lea     ecx, [edx * 4]
        shl     ebx, cl
        pop     ecx
2:      rol     ebx, 4
        mov     eax, ebx
        and     eax, 15
        add     al, '0'
        cmp     al, '9'
        jbe     3f
        add     al, 'a' - '9' - 1
3:      call    put
        loop    2b
        ret

# Prints the text at ESI up to its NUL.
print:
        mov     al, [esi]
        inc     esi
        test    al, al
        jz      4f
        call    put
        jmp     print
4:      ret

# Prints AL.
put:
        push    edx
        push    eax
        mov     edx, 0x3fd
5:      in      al, dx
        test    al, 0x20
        jz      5b
        pop     eax
        mov     edx, 0x3f8
        out     dx, al
        pop     edx
        ret

greeting:       .asciz  "\nslotwise multiboot\n"
farewell:       .asciz  "slotwise multiboot end\n"
word_pci:       .asciz  "pci "
word_class:     .asciz  " class "
                .align  16
                .fill   256
stack_top:
