/* Preloaded into a program, counts its sync calls: each appends a byte to the file SYNC_COUNT. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void count(void) {
    const char *name = getenv("SYNC_COUNT");
    int file = name ? open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        (void)!write(file, "s", 1);
        close(file);
    }
}

int fsync(int file) {
    count();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    count();
    return (int)syscall(SYS_fdatasync, file);
}
