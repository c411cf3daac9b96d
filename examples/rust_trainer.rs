//! A Rust trainer that says its phases: a network with one hidden layer learns a sine, by gradient descent without any library.
//!
//! ```text
//! cargo build --release --example rust_trainer
//! powerprof -- target/release/examples/rust_trainer
//! ```
//!
//! Runs the same without powerprof: the client is then silent.

use powerprof_markers::Client;

const HIDDEN: usize = 64;
const BATCH: usize = 512;
const STEPS: u64 = 1200;
const LEARNING_RATE: f64 = 0.01;

pub fn main() {
    let markers = Client::from_env();

    let load = markers.span("load");
    let mut random = Random(42);
    let mut network = Network::new(&mut random);
    let held_out = batch(&mut random, 20_000);
    drop(load);

    let train = markers.span("train");
    for index in 0..STEPS {
        let step = markers.span_at("step", index);

        let data = markers.span("data");
        let samples = batch(&mut random, BATCH);
        drop(data);

        let backward = markers.span("backward");
        let (gradient, loss) = network.gradient(&samples);
        drop(backward);

        {
            let _optimizer = markers.span("optimizer"); // a guard: ends with this scope, whatever happens in it
            network.descend(&gradient);
        }

        step.finish(BATCH as u64, None);
        if index % 100 == 0 {
            markers.metric("loss", loss);
        }
    }
    drop(train);

    let validate = markers.span("validate");
    let (_, loss) = network.gradient(&held_out);
    validate.finish(held_out.len() as u64, None);
    markers.metric("validation_loss", loss);
    println!("mean squared error {loss:.5}, recorded: {}", markers.is_active());
}

/// One hidden layer: y = sum of `out` * tanh(`scale` * x + `shift`).
struct Network {
    scale: [f64; HIDDEN],
    shift: [f64; HIDDEN],
    out: [f64; HIDDEN],
}

impl Network {
    fn new(random: &mut Random) -> Self {
        let mut layer = |width: f64| std::array::from_fn(|_| width * random.uniform());
        Self {
            scale: layer(3.0),
            shift: layer(3.0),
            out: layer(0.1),
        }
    }

    /// Gradient of the mean squared error, and that error.
    fn gradient(&self, samples: &[(f64, f64)]) -> (Self, f64) {
        let mut gradient = Self {
            scale: [0.0; HIDDEN],
            shift: [0.0; HIDDEN],
            out: [0.0; HIDDEN],
        };
        let mut loss = 0.0;
        let per_sample = 1.0 / samples.len() as f64;
        for &(x, y) in samples {
            let active: [f64; HIDDEN] = std::array::from_fn(|i| (self.scale[i] * x + self.shift[i]).tanh());
            let error = active.iter().zip(&self.out).map(|(a, w)| a * w).sum::<f64>() - y;
            loss += error * error * per_sample;
            for (i, a) in active.iter().enumerate() {
                let inner = 2.0 * error * per_sample * self.out[i] * (1.0 - a * a);
                gradient.out[i] += 2.0 * error * per_sample * a;
                gradient.scale[i] += inner * x;
                gradient.shift[i] += inner;
            }
        }
        (gradient, loss)
    }

    fn descend(&mut self, gradient: &Self) {
        let layers = [
            (&mut self.scale, &gradient.scale),
            (&mut self.shift, &gradient.shift),
            (&mut self.out, &gradient.out),
        ];
        for (weights, slopes) in layers {
            for (weight, slope) in weights.iter_mut().zip(slopes) {
                *weight -= LEARNING_RATE * slope;
            }
        }
    }
}

/// Points of sin(3x) with x from -1 to 1.
fn batch(random: &mut Random, size: usize) -> Vec<(f64, f64)> {
    (0..size)
        .map(|_| {
            let x = random.uniform();
            (x, (3.0 * x).sin())
        })
        .collect()
}

/// xorshift64 (Marsaglia 2003): enough to draw training data, and the same on every machine.
struct Random(u64);

impl Random {
    /// From -1 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}
