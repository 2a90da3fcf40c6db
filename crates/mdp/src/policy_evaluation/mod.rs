//! x
mod bicgstab; mod blocks; pub mod chain; mod closed_form; pub mod gauss_seidel; mod iterative; mod incomplete_lu;
use chain::*;
pub fn lab(model:&impl crate::Model, policy:&crate::Policy, gamma:f64, method:&str, tol:f64) {
    let t=std::time::Instant::now();
    let c=Chain::new(model,policy).unwrap();
    let t0=t.elapsed();
    let order=gauss_seidel::sweep_order(&c);
    let t1=t.elapsed();
    let c=c.reordered(&order);
    let t2=t.elapsed();
    let s=System{chain:&c,discount:gamma,right:&c.reward};
    let mut v=vec![0.0;c.states()];
    let mut last=(0,0.0);
    let mut m=|i:usize,r:Residual|->Result<bool,crate::MdpError>{ last=(i,r.norm()); if i>20000 {return Ok(true)} 
       let e=if c.can_end {r.norm()} else {(r.high-r.low)/2.}; Ok(e/(1.0-gamma)<tol) };
    match method {"lu"=>closed_form::solve(&s,&mut v,&mut m),"j"=>iterative::solve(&s,&mut v,&mut m),"gs"=>gauss_seidel::solve(&s,&mut v,&mut m),_=>bicgstab::solve(&s,&mut v,&mut m)}.unwrap();
    println!("{method:4} n={} nnz={} build {t0:?} order {:?} reorder {:?} solve {:?} it {} res {:e}",c.states(),c.next.len(),t1-t0,t2-t1,t.elapsed()-t2,last.0,last.1);
}
