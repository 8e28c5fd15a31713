// The work of bench/peers on MPI: rank 0 drives, the others work. Rank 0 prints one number: seconds, or a rate.
//
//	mpi up                10 workers have answered: prints when, in seconds since 1970
//	mpi call N            N round trips of 8 bytes with rank 1, back to back: seconds each
//	mpi map N CHUNK       N distinct numbers in messages of CHUNK, by turns to the workers, every result checked: rows/s
//	mpi args SIZE N       N messages of SIZE bytes, streamed to rank 1, which receives each in new memory: bytes/s
//	mpi arg SIZE N        the same one by one, each answered: bytes/s
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { work, end };             // tags
enum { window = 64, most = 8192 }; // messages under way, numbers in one

static void fail(const char *what) {
	fprintf(stderr, "mpi: %s\n", what);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static void up(int rank, int size) {
	int v = rank;
	if (rank > 0) {
		MPI_Send(&v, 1, MPI_INT, 0, work, MPI_COMM_WORLD);
		return;
	}
	for (int i = 1; i < size; i++)
		MPI_Recv(&v, 1, MPI_INT, MPI_ANY_SOURCE, work, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	struct timeval now;
	gettimeofday(&now, NULL);
	printf("%.6f\n", (double)now.tv_sec + (double)now.tv_usec / 1e6);
}

static void call(int rank, int n) {
	int64_t v;
	if (rank == 1) {
		for (int i = 0; i < n; i++) {
			MPI_Recv(&v, 1, MPI_INT64_T, 0, work, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			v++;
			MPI_Send(&v, 1, MPI_INT64_T, 0, work, MPI_COMM_WORLD);
		}
		return;
	}
	double start = MPI_Wtime();
	for (int i = 0; i < n; i++) {
		v = i;
		MPI_Send(&v, 1, MPI_INT64_T, 1, work, MPI_COMM_WORLD);
		MPI_Recv(&v, 1, MPI_INT64_T, 1, work, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		if (v != i + 1)
			fail("wrong answer");
	}
	printf("%.9f\n", (MPI_Wtime() - start) / n);
}

static void map(int rank, int size, int n, int chunk) {
	static int64_t out[window][most], in[window][most];
	if (chunk > most)
		fail("chunk too large");
	if (rank > 0) {
		for (;;) {
			MPI_Status st;
			MPI_Recv(in[0], chunk, MPI_INT64_T, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &st);
			if (st.MPI_TAG == end)
				return;
			for (int i = 0; i < chunk; i++)
				in[0][i]++;
			MPI_Send(in[0], chunk, MPI_INT64_T, 0, work, MPI_COMM_WORLD);
		}
	}
	MPI_Request sent[window], got[window];
	int messages = n / chunk, under_way = chunk > 1 ? 8 : window, begun = 0;
	double start = MPI_Wtime();
	for (int done = 0; done < messages; done++) {
		for (; begun < messages && begun < done + under_way; begun++) {
			int s = begun % under_way, to = 1 + begun % (size - 1);
			for (int i = 0; i < chunk; i++)
				out[s][i] = (int64_t)begun * chunk + i;
			MPI_Irecv(in[s], chunk, MPI_INT64_T, to, work, MPI_COMM_WORLD, &got[s]);
			MPI_Isend(out[s], chunk, MPI_INT64_T, to, work, MPI_COMM_WORLD, &sent[s]);
		}
		int s = done % under_way;
		MPI_Wait(&got[s], MPI_STATUS_IGNORE);
		MPI_Wait(&sent[s], MPI_STATUS_IGNORE);
		for (int i = 0; i < chunk; i++)
			if (in[s][i] != (int64_t)done * chunk + i + 1)
				fail("wrong result");
	}
	printf("%.1f\n", (double)messages * chunk / (MPI_Wtime() - start));
	for (int to = 1; to < size; to++)
		MPI_Send(out[0], 0, MPI_INT64_T, to, end, MPI_COMM_WORLD);
}

static void args(int rank, int bytes, int n, int answered) {
	enum { buffers = 4 };
	int64_t sum = 0, want = 0;
	if (rank == 1) {
		for (int i = 0; i < n; i++) {
			char *b = malloc((size_t)bytes);
			if (b == NULL)
				fail("no memory");
			MPI_Recv(b, bytes, MPI_BYTE, 0, work, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			b[0]++;
			sum += b[0] + b[bytes - 1];
			free(b);
			if (answered || i == n - 1)
				MPI_Send(&sum, 1, MPI_INT64_T, 0, work, MPI_COMM_WORLD);
		}
		return;
	}
	char *b[buffers];
	for (int i = 0; i < buffers; i++) {
		b[i] = malloc((size_t)bytes);
		if (b[i] == NULL)
			fail("no memory");
		memset(b[i], i + 1, (size_t)bytes);
	}
	double start = MPI_Wtime();
	for (int i = 0; i < n; i++) {
		MPI_Send(b[i % buffers], bytes, MPI_BYTE, 1, work, MPI_COMM_WORLD);
		want += 2 * (i % buffers + 1) + 1;
		if (answered || i == n - 1) {
			MPI_Recv(&sum, 1, MPI_INT64_T, 1, work, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			if (sum != want)
				fail("wrong sum");
		}
	}
	printf("%.1f\n", (double)bytes * n / (MPI_Wtime() - start));
}

int main(int argc, char **argv) {
	int rank, size;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	const char *what = argc > 1 ? argv[1] : "";
	int a = argc > 2 ? atoi(argv[2]) : 0, b = argc > 3 ? atoi(argv[3]) : 0;
	if (strcmp(what, "up") == 0)
		up(rank, size);
	else if (strcmp(what, "call") == 0 && a > 0)
		call(rank, a);
	else if (strcmp(what, "map") == 0 && a > 0 && b > 0)
		map(rank, size, a, b);
	else if (strcmp(what, "args") == 0 && a > 0 && b > 0)
		args(rank, a, b, 0);
	else if (strcmp(what, "arg") == 0 && a > 0 && b > 0)
		args(rank, a, b, 1);
	else
		fail("see the head of mpi.c for what it does");
	fflush(stdout);
	MPI_Finalize();
	return 0;
}
