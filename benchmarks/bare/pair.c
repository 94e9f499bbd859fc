/* A sender and a receiver over loopback in plain C: an instrument that shares no code with zcload.

   pair FILE MECHANISM SINK CHUNK RECEIVE_CHUNK SOCKET_BUFFER WINDOW_MS WINDOWS BUFFER_OFFSET SENDER_CPU RECEIVER_CPU WORK_NS

   The sender sends FILE over and over for WINDOWS windows, each followed by a wait until all of it was received. Each process reads its own
   CPU clock while the other is blocked. The receiver computes for WORK_NS after each receive, as an interpreter does; 0: not at all.
   SOCKET_BUFFER 0: the kernel's own sizes. BUFFER_OFFSET is the sender's; -1: huge pages for both.
   Prints bytes, sender ns, receiver ns, receives, how often the receiver slept, and for how many ns windows were open, each until the
   sender saw that all was received (it looks every 0.1 ms). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct shared { volatile long received, receives, receiver_ns, sleeps; } *shared;

static void check(long result, const char *what) { if (result < 0) { perror(what); exit(1); } }

static long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set); CPU_SET(cpu, &set);
    check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

static int prepared(int buffer) {
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    check(sock, "socket");
    if (buffer) check(setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), "SO_SNDBUF");
    if (buffer) check(setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), "SO_RCVBUF");
    check(setsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5), "cubic");
    return sock;
}

static char *memory(size_t size, int offset) {  /* at a page, offset bytes into one, or with -1 in huge pages */
    size_t huge = offset < 0 ? 2 << 20 : 0, room = huge ? (size + 2 * huge - 1) / huge * huge : size + offset;
    char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at == MAP_FAILED ? -1 : 0, "mmap");
    if (huge) check(madvise(at, room, MADV_HUGEPAGE), "MADV_HUGEPAGE");
    memset(at, 0, room);
    return huge ? (char *)(((size_t)at + huge - 1) / huge * huge) : at + offset;
}

static void receive(int sock, int discard, size_t chunk, int offset, long work_ns) {
    struct rusage usage;
    char *buffer = memory(chunk, offset < 0 ? offset : 0);
    long got, start = now(CLOCK_PROCESS_CPUTIME_ID);
    while ((got = recv(sock, buffer, chunk, discard ? MSG_TRUNC : 0)) > 0) {
        shared->receives++;
        shared->received += got;
        if (work_ns) for (long until = now(CLOCK_MONOTONIC) + work_ns; now(CLOCK_MONOTONIC) < until;) ;
    }
    check(got, "recv");
    shared->receiver_ns = now(CLOCK_PROCESS_CPUTIME_ID) - start;
    getrusage(RUSAGE_SELF, &usage);
    shared->sleeps = usage.ru_nvcsw;
}

/* Send up to chunk bytes from offset of the file; return how many. */
static long send_chunk(int mechanism, int sock, int file, off_t offset, size_t chunk, off_t size, char *buffer, int *pipes) {
    static char *map;
    long got, sent = 0;
    if (chunk > (size_t)(size - offset)) chunk = size - offset;
    switch (mechanism) {
    case 'r':
        check(got = pread(file, buffer, chunk, offset), "pread");
        check(sent = send(sock, buffer, got, 0), "send");
        return sent;
    case 'm':
        if (!map) check((map = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0)) == MAP_FAILED ? -1 : 0, "mmap of the file");
        check(sent = send(sock, map + offset, chunk, 0), "send");
        if (offset + sent == size) { munmap(map, size); map = NULL; }
        return sent;
    case 'f':
        check(sent = sendfile(sock, file, &offset, chunk), "sendfile");
        return sent;
    default:
        check(got = splice(file, &offset, pipes[1], NULL, chunk, 0), "splice from the file");
        while (sent < got) {
            long moved = splice(pipes[0], NULL, sock, NULL, got - sent, 0);
            check(moved, "splice to the socket");
            sent += moved;
        }
        return sent;
    }
}

int main(int argc, char **argv) {
    if (argc != 13) { fprintf(stderr, "see the comment at the top of pair.c\n"); return 2; }
    int mechanism = strcmp(argv[2], "sendfile") ? argv[2][0] : 'f', discard = !strcmp(argv[3], "discard");
    size_t chunk = atol(argv[4]), receive_chunk = atol(argv[5]);
    int socket_buffer = atoi(argv[6]), windows = atoi(argv[8]), pipes[2], file = open(argv[1], O_RDONLY);
    long open_ns = atol(argv[7]) * 1000000L, sent = 0, open_for = 0;
    struct timespec look = {0, 100000}, apart = {0, 3000000};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct stat status; socklen_t length = sizeof address;
    check(file < 0 ? file : fstat(file, &status), argv[1]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int listener = prepared(socket_buffer), sock = prepared(socket_buffer);
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, 1), "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    check(connect(sock, (struct sockaddr *)&address, sizeof address), "connect");
    int other = accept(listener, NULL, NULL);
    pid_t receiver = fork();
    if (!receiver) {
        pin(atoi(argv[11]));
        receive(other, discard, receive_chunk, atoi(argv[9]), atol(argv[12]));
        return 0;
    }
    check(receiver, "fork");
    pin(atoi(argv[10]));
    check(pipe(pipes), "pipe");
    if (mechanism == 's') check(fcntl(pipes[1], F_SETPIPE_SZ, (int)chunk), "F_SETPIPE_SZ");
    char *buffer = memory(chunk, atoi(argv[9]));
    off_t offset = 0;
    long cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int window = 0; window < windows; window++) {
        long from = now(CLOCK_MONOTONIC), until = from + open_ns;
        do {
            long moved = send_chunk(mechanism, sock, file, offset, chunk, status.st_size, buffer, pipes);
            sent += moved;
            offset = offset + moved == status.st_size ? 0 : offset + moved;
        } while (now(CLOCK_MONOTONIC) < until);
        while (shared->received < sent) nanosleep(&look, NULL);
        open_for += now(CLOCK_MONOTONIC) - from;
        if (window + 1 < windows) nanosleep(&apart, NULL);  /* about what zcload's readings at rest take */
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    shutdown(sock, SHUT_WR); waitpid(receiver, NULL, 0);
    if (shared->received != sent) { fprintf(stderr, "received %ld of %ld bytes\n", shared->received, sent); return 1; }
    printf("%ld %ld %ld %ld %ld %ld\n", sent, cpu, shared->receiver_ns, shared->receives, shared->sleeps, open_for);
    return 0;
}
