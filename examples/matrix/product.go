package main

// product fills the rows of c from lo up to hi with those of a × b, all n × n and row by row. It goes through b in
// blocks that stay in the cache, four of b's rows at a time. Each element is summed in one order whatever lo and hi are,
// so that results can be compared bit by bit.
func product(c, a, b []float64, n, lo, hi int) {
	clear(c[lo*n : hi*n])
	const rows, columns = 64, 512 // of b in a block: 256 KiB
	for k0 := 0; k0 < n; k0 += rows {
		k1 := min(k0+rows, n)
		for j0 := 0; j0 < n; j0 += columns {
			j1 := min(j0+columns, n)
			for i := lo; i < hi; i++ {
				addRows(c[i*n+j0:i*n+j1], a[i*n:i*n+n], b, n, k0, k1, j0)
			}
		}
	}
}

// addRows adds to sum the rows k0 up to k1 of b, from column j0 on, each times its element of a.
func addRows(sum, a, b []float64, n, k0, k1, j0 int) {
	k := k0
	for ; k+4 <= k1; k += 4 {
		a0, a1, a2, a3 := a[k], a[k+1], a[k+2], a[k+3]
		at := k*n + j0
		b0, b1 := b[at:][:len(sum)], b[at+n:][:len(sum)]
		b2, b3 := b[at+2*n:][:len(sum)], b[at+3*n:][:len(sum)]
		for j := range sum {
			sum[j] += a0*b0[j] + a1*b1[j] + a2*b2[j] + a3*b3[j]
		}
	}
	for ; k < k1; k++ {
		row := b[k*n+j0:][:len(sum)]
		for j := range sum {
			sum[j] += a[k] * row[j]
		}
	}
}
