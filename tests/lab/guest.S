# The lab's guest: one boot sector that is a whole machine to move.
#
# Eighteen times a second (each tick of the timer) it counts, dirties some pages of its memory, and writes the count as
# eight hexadecimal digits to the serial line; every sixteenth count also goes to sector 1 of the disk it booted from.
# So a look from outside tells whether it goes on or started anew, and whether its disk still takes what it writes.
# Its one difficulty: memory above 1 MiB is reached in real mode by a data segment without limit ("unreal mode"), and any
# BIOS call may take that away; so it is set up again in each round.
#
# In the last bytes of the sector guest.py patches in a mark that each of these pages bears, the end of the dirtied memory, and
# pages each round.
.code16
.globl _start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movb	%dl, drive

	inb	$0x92, %al		# the A20 gate
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92

	movw	$0x3fb, %dx		# COM1: 115200 8n1, no interrupts
	movb	$0x80, %al
	outb	%al, %dx
	movw	$0x3f8, %dx
	movb	$1, %al
	outb	%al, %dx
	incw	%dx
	xorb	%al, %al
	outb	%al, %dx
	movw	$0x3fb, %dx
	movb	$3, %al
	outb	%al, %dx

	movl	first, %edi
	movl	$1, %eax
	call	unlimited		# every page of the set gets a content of its own before the first count, and the mark
	movl	mark, %ebx
	movl	mark+4, %edx
fill:
	cmpl	set_end, %edi
	jae	round
	addr32 movl %eax, %es:(%edi)
	addr32 movl %edi, %es:4(%edi)
	addr32 movl %ebx, %es:8(%edi)
	addr32 movl %edx, %es:12(%edi)
	addl	$0x1000, %edi
	jmp	fill

round:
	sti
	hlt
	cli
	incl	count
	call	unlimited
	movl	count, %eax
	movl	cursor, %edi
	movl	pages, %ecx
dirty:
	jecxz	dirtied
	decl	%ecx
	cmpl	set_end, %edi
	jb	1f
	movl	first, %edi
	cmpl	set_end, %edi
	jae	dirtied
1:	addr32 movl %eax, %es:(%edi)
	addl	$0x1000, %edi
	jmp	dirty
dirtied:
	movl	%edi, cursor

	movl	%eax, %ebx
	movw	$text, %di
	xorw	%ax, %ax
	movw	%ax, %es
	movw	$8, %cx
digit:
	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	1f
	addb	$7, %al
1:	stosb
	loop	digit
	movb	$'\n', %al
	stosb

	movw	$text, %si
	movw	$9, %cx
send:
	movw	$0x3fd, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movw	$0x3f8, %dx
	lodsb
	outb	%al, %dx
	loop	send

	testb	$15, count
	jnz	round
	sti
	movw	$packet, %si		# extended write of one sector, the count's text
	movw	$0x4300, %ax
	movb	drive, %dl
	int	$0x13
	jmp	round

# ES without limit; the other segments stay as they are. Interrupts must be off. Keeps EAX, ECX and EDI.
unlimited:
	pushl	%eax
	lgdt	table_register
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$8, %bx
	movw	%bx, %es
	andb	$0xfe, %al
	movl	%eax, %cr0
	xorw	%bx, %bx
	movw	%bx, %es
	popl	%eax
	ret

.balign 4
table:
	.quad	0
	.quad	0x00cf92000000ffff
table_register:
	.word	15
	.long	table
packet:
	.byte	16, 0
	.word	1			# sectors
	.word	text, 0			# from 0000:text
	.quad	1			# to sector 1
first:	.long	0x100000
cursor:	.long	0x100000
count:	.long	0
drive:	.byte	0

.set text, 0x8000			# a sector of its own, zero but for the text

	.org	488
mark:	.quad	0
	.org	496
set_end: .long	0x100000
pages:	.long	0
	.org	510
	.word	0xaa55
