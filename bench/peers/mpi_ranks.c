// Two ranks that exchange messages through MPI, to compare package mpi with: ranks/main.go does the same, loop for loop.
// Rank 0 prints one JSON object: seconds of each measure.
//
//	pingpong SIZE    half a round trip of SIZE bytes
//	stream SIZE      a message of SIZE bytes, one sent after the other, blocking
//	window SIZE      the same, eight under way at a time, receives posted first
//	allreduce SIZE   a sum of float64, in place
//	barrier
//
// The first and the last byte (or element) of every message are checked.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { under_way = 8, largest = 16 << 20 };

static int rank, size; // size: bytes of the message that is measured
static unsigned char *out[under_way], *in[under_way];
static double *sums;

static void check(int ok) {
	if (!ok) {
		fprintf(stderr, "mpi_ranks: rank %d got something else than was sent\n", rank);
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
}

static void mark(unsigned char *b, int i) { b[0] = b[size - 1] = (unsigned char)i; }

static void marked(const unsigned char *b, int i) { check(b[0] == (unsigned char)i && b[size - 1] == (unsigned char)i); }

static void send(int i) {
	mark(out[0], i);
	MPI_Send(out[0], size, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD);
}

static void receive(int i) {
	MPI_Recv(in[0], size, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	marked(in[0], i);
}

static void pingpong(int n) {
	for (int i = 0; i < n; i++) {
		if (rank == 0)
			send(i);
		receive(i);
		if (rank == 1)
			send(i);
	}
}

// acknowledge ends a stream: all of it has come.
static void acknowledge(void) {
	unsigned char b = 0;
	if (rank == 0)
		MPI_Recv(&b, 1, MPI_BYTE, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	else
		MPI_Send(&b, 1, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
}

static void stream(int n) {
	for (int i = 0; i < n; i++)
		if (rank == 0)
			send(i);
		else
			receive(i);
	acknowledge();
}

static void window(int n) {
	MPI_Request requests[under_way];
	for (int i = 0; i < n; i += under_way) {
		for (int k = 0; k < under_way; k++)
			if (rank == 0) {
				mark(out[k], i + k);
				MPI_Isend(out[k], size, MPI_BYTE, 1, 0, MPI_COMM_WORLD, &requests[k]);
			} else
				MPI_Irecv(in[k], size, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &requests[k]);
		MPI_Waitall(under_way, requests, MPI_STATUSES_IGNORE);
		for (int k = 0; k < under_way && rank == 1; k++)
			marked(in[k], i + k);
	}
	acknowledge();
}

// allreduce doubles what it sums, from 1, and begins again before it overflows.
static void allreduce(int n) {
	int count = size / (int)sizeof(double);
	double want = 0;
	for (int i = 0; i < n; i++) {
		if (i % 512 == 0) {
			for (int k = 0; k < count; k++)
				sums[k] = 1;
			want = 1;
		}
		MPI_Allreduce(MPI_IN_PLACE, sums, count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
		want *= 2;
		check(sums[0] == want && sums[count - 1] == want);
	}
}

static void barrier(int n) {
	for (int i = 0; i < n; i++)
		MPI_Barrier(MPI_COMM_WORLD);
}

// measure repeats a measure until it takes a fifth of a second; what comes before warms up.
static double measure(void (*f)(int), int bytes) {
	int n = under_way;
	double took = 0;
	size = bytes;
	for (;;) {
		MPI_Barrier(MPI_COMM_WORLD);
		double start = MPI_Wtime();
		f(n);
		took = MPI_Wtime() - start;
		MPI_Bcast(&took, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
		if (took >= 0.2)
			return took / n;
		n *= 2;
	}
}

static void print(const char *name, int bytes, double seconds) {
	static int printed;
	if (rank == 0)
		printf("%s\"%s %d\": %.10f", printed++ ? ", " : "{", name, bytes, seconds);
}

static unsigned char *touched(size_t bytes) {
	unsigned char *b = malloc(bytes);
	check(b != NULL);
	memset(b, 255, bytes);
	return b;
}

int main(int argc, char **argv) {
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	for (int k = 0; k < under_way; k++) {
		out[k] = touched(largest);
		in[k] = touched(largest);
	}
	sums = (double *)touched(largest);
	const struct { const char *name; void (*f)(int); double parts; int sizes[12]; } all[] = {
		{"pingpong", pingpong, 2, {8, 64, 512, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, -1}},
		{"stream", stream, 1, {8, 1 << 20, -1}},
		{"window", window, 1, {1 << 20, -1}},
		{"allreduce", allreduce, 1, {8, 8 << 20, -1}},
		{"barrier", barrier, 1, {0, -1}},
	};
	for (size_t m = 0; m < sizeof all / sizeof *all; m++)
		for (int i = 0; all[m].sizes[i] >= 0; i++) {
			int size = all[m].sizes[i];
			if (argc < 3 || (strcmp(argv[1], all[m].name) == 0 && atoi(argv[2]) == size))
				print(all[m].name, size, measure(all[m].f, size) / all[m].parts);
		}
	if (rank == 0)
		printf("}\n");
	MPI_Finalize();
	return 0;
}
