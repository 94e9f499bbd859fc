/* What do the system calls of sendfile and recv cost from C, in a loop that does nothing else? See call_cost.py.

   calls FILE COPY_BYTES CALLS CPU

   sendfile moves 1 byte of FILE to /dev/null, recv takes 1 byte from a socket pair that was filled before. Before each call the loop copies
   COPY_BYTES from one buffer to another, as a call of a real transfer leaves the caches filled with payload; the same loop without the call
   is subtracted. Prints ns of CPU for a call: sendfile, recv. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void check(long result, const char *what) { if (result < 0) { perror(what); exit(1); } }

static long used(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "see the comment at the top of calls.c\n"); return 2; }
    int file = open(argv[1], O_RDONLY), null = open("/dev/null", O_WRONLY), pair[2];
    long copied = atol(argv[2]), calls = atol(argv[3]), fill = 32768;
    char *from = calloc(1, copied + 1), *to = calloc(1, copied + 1), *filled = calloc(1, fill), byte;
    cpu_set_t set;
    CPU_ZERO(&set); CPU_SET(atoi(argv[4]), &set);
    check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
    check(file < 0 ? file : null, "open");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    for (int kind = 0; kind < 2; kind++) {
        long with = 0, without = 0, start;
        for (long done = 0; done < calls; done += fill) {
            if (kind) check(send(pair[0], filled, fill, 0), "send");
            start = used();
            for (long i = 0; i < fill; i++) {
                memcpy(to, from, copied); __asm__ volatile("" ::: "memory");
                if (kind) check(recv(pair[1], &byte, 1, 0), "recv");
                else { off_t offset = 0; check(sendfile(null, file, &offset, 1), "sendfile"); }
            }
            with += used() - start;
            start = used();
            for (long i = 0; i < fill; i++) { memcpy(to, from, copied); __asm__ volatile("" ::: "memory"); }
            without += used() - start;
        }
        printf("%.1f ", (double)(with - without) / ((calls + fill - 1) / fill * fill));
    }
    printf("\n");
    return 0;
}
